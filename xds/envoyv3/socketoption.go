package envoyv3

// Socket options: keep-alive, as Envoy's own message, those that have a field of a
// listener, and raw ones.

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
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
	tcpFastOpen    = 23

	ipprotoIP     = 0
	ipTransparent = 19
)

const alwaysSet = "SO_REUSEADDR (1/2), SO_REUSEPORT (1/15) and TCP_NODELAY (6/1) only as 1, as they always are"

const ofListeners = "any, as the kernel has them; of listeners " + alwaysSet

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

// socketOptions reads raw options into s.
func (d *decoder) socketOptions(p path, options []*corev3.SocketOption, s *config.Socket) {
	for i, o := range options {
		if !ofDatagrams(o) {
			d.socketOption(p.at(i), o, s)
		}
	}
}

// ofDatagrams reports whether an option is for sockets that are not there: all are streams.
// A type that says neither is as none, and one that says both is of streams, as in Envoy's
// source/common/network/socket_option_factory.cc.
func ofDatagrams(o *corev3.SocketOption) bool {
	return o.GetType().GetDatagram() != nil && o.GetType().GetStream() == nil
}

func (d *decoder) socketOption(p path, o *corev3.SocketOption, s *config.Socket) {
	v, k := o.GetIntValue(), &s.Keepalive
	at := [2]int64{o.GetLevel(), o.GetName()}
	if o.GetBufValue() != nil {
		at = [2]int64{-1} // of bytes none has a name here
	}
	switch at {
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
			d.unsupported(p, alwaysSet)
		}
	default:
		s.Options = append(s.Options, rawOption(o))
	}
}

// rawOption is an option as the kernel has it.
func rawOption(o *corev3.SocketOption) config.SocketOption {
	return config.SocketOption{
		Level: int(o.GetLevel()), Name: int(o.GetName()), Value: int(o.GetIntValue()), Bytes: string(o.GetBufValue()),
		When: config.SocketState(o.GetState()), // the numbers are the same
	}
}

// ownOptions are those that have a field of a listener (listener_impl.cc,
// buildListenSocketOptions).
func ownOptions(m *listenerv3.Listener, s *config.Socket) {
	if m.GetTransparent().GetValue() {
		for _, when := range []config.SocketState{config.BeforeBind, config.Bound} {
			s.Options = append(s.Options, config.SocketOption{Level: ipprotoIP, Name: ipTransparent, Value: 1, When: when})
		}
	}
	if n := m.GetTcpFastOpenQueueLength(); n != nil {
		s.Options = append(s.Options, config.SocketOption{Level: ipprotoTCP, Name: tcpFastOpen, Value: int(min(n.GetValue(), 1<<31-1)), When: config.Listening})
	}
}

func (d *decoder) optionMax(p path, v, limit int64) int64 {
	if v < 0 || v > limit {
		d.refuse(p.dot("int_value"), "must be 0 to %d", limit)
		return 0
	}
	return v
}
