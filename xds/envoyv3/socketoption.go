package envoyv3

// Keep-alive, as Envoy's own message and as raw socket options.

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/proxy/config"
)

// Linux's numbers (asm-generic/socket.h, netinet/tcp.h): the file that names
// them was written for Linux.
const (
	solSocket   = 1
	soReuseAddr = 2
	soKeepalive = 9
	soReusePort = 15

	ipprotoTCP     = 6
	tcpNoDelay     = 1
	tcpKeepIdle    = 4
	tcpKeepIntvl   = 5
	tcpKeepCnt     = 6
	tcpUserTimeout = 18
)

const socketOptionsAllowed = "SO_KEEPALIVE (1/9), TCP_KEEPIDLE (6/4), TCP_KEEPINTVL (6/5), TCP_KEEPCNT (6/6), " +
	"TCP_USER_TIMEOUT (6/18); SO_REUSEADDR (1/2), SO_REUSEPORT (1/15) and TCP_NODELAY (6/1) only as 1, as they always are"

const ofListeners = "of upstream_bind_config any, as the kernel has them; of listeners " + socketOptionsAllowed

// maxKeepalive is the longest time and the most probes that Linux takes.
const (
	maxKeepaliveSeconds = 32767
	maxKeepaliveProbes  = 127
)

func (d *decoder) keepalive(p path, m *corev3.TcpKeepalive) config.Keepalive {
	if m == nil || zero(m.GetKeepaliveProbes()) || zero(m.GetKeepaliveTime()) || zero(m.GetKeepaliveInterval()) {
		return config.Keepalive{} // 0 of any turns it off
	}
	return config.Keepalive{
		Enabled:  true,
		Idle:     time.Duration(d.keepaliveMax(p.dot("keepalive_time"), m.GetKeepaliveTime().GetValue(), maxKeepaliveSeconds)) * time.Second,
		Interval: time.Duration(d.keepaliveMax(p.dot("keepalive_interval"), m.GetKeepaliveInterval().GetValue(), maxKeepaliveSeconds)) * time.Second,
		Probes:   int(d.keepaliveMax(p.dot("keepalive_probes"), m.GetKeepaliveProbes().GetValue(), maxKeepaliveProbes)),
	}
}

// zero reports whether a value is there and 0.
func zero(m *wrapperspb.UInt32Value) bool { return m != nil && m.GetValue() == 0 }

func (d *decoder) keepaliveMax(p path, v, limit uint32) uint32 {
	if v > limit {
		d.refuse(p, "must be at most %d", limit)
	}
	return v
}

// socketOptions reads raw options into k.
func (d *decoder) socketOptions(p path, options []*corev3.SocketOption, k *config.Keepalive) {
	for i, o := range options {
		if o.GetType() != nil || o.GetBufValue() != nil {
			continue // the walk has refused it
		}
		d.socketOption(p.at(i), o, k)
	}
}

func (d *decoder) socketOption(p path, o *corev3.SocketOption, k *config.Keepalive) {
	v := o.GetIntValue()
	switch [2]int64{o.GetLevel(), o.GetName()} {
	case [2]int64{solSocket, soKeepalive}:
		k.Enabled = v != 0
	case [2]int64{ipprotoTCP, tcpKeepIdle}:
		k.Idle = time.Duration(d.optionMax(p, v, maxKeepaliveSeconds)) * time.Second
	case [2]int64{ipprotoTCP, tcpKeepIntvl}:
		k.Interval = time.Duration(d.optionMax(p, v, maxKeepaliveSeconds)) * time.Second
	case [2]int64{ipprotoTCP, tcpKeepCnt}:
		k.Probes = int(d.optionMax(p, v, maxKeepaliveProbes))
	case [2]int64{ipprotoTCP, tcpUserTimeout}:
		k.UserTimeout = time.Duration(d.optionMax(p, v, 1<<31-1)) * time.Millisecond
	case [2]int64{solSocket, soReuseAddr}, [2]int64{solSocket, soReusePort}, [2]int64{ipprotoTCP, tcpNoDelay}:
		if v != 1 {
			d.unsupported(p, socketOptionsAllowed)
		}
	default:
		d.unsupported(p, socketOptionsAllowed)
	}
}

func (d *decoder) optionMax(p path, v, limit int64) int64 {
	if v < 0 || v > limit {
		d.refuse(p.dot("int_value"), "must be 0 to %d", limit)
		return 0
	}
	return v
}
