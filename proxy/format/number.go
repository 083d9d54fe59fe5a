package format

// Operators that are numbers.

import (
	"net/netip"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// number is the operator's value, if it is a number at all; !ok: it has none.
func (p *part) number(v *streaminfo.View) (n int64, ok, isNumber bool) {
	b, t := &v.Bytes, &v.Times
	switch p.Op {
	case config.OpZero:
		return 0, true, true
	case config.OpBytesReceived:
		return int64(b.Received), true, true
	case config.OpBytesSent:
		return int64(b.Sent), true, true
	case config.OpRequestHeadersBytes, config.OpDownstreamHeaderReceived:
		return int64(b.RequestHead), true, true
	case config.OpResponseHeadersBytes, config.OpDownstreamHeaderSent:
		return int64(b.ResponseHead), true, true
	case config.OpResponseTrailersBytes:
		return int64(b.ResponseTrailers), true, true
	case config.OpDownstreamWireReceived:
		return int64(b.WireReceived), true, true
	case config.OpDownstreamWireSent:
		return int64(b.WireSent), true, true
	case config.OpUpstreamWireReceived:
		return int64(b.UpstreamWireReceived), true, true
	case config.OpUpstreamWireSent:
		return int64(b.UpstreamWireSent), true, true
	case config.OpUpstreamHeaderReceived:
		return int64(b.UpstreamHeadReceived), true, true
	case config.OpUpstreamHeaderSent:
		return int64(b.UpstreamHeadSent), true, true
	case config.OpResponseCode:
		return int64(v.Status), true, true
	case config.OpAttempts:
		return int64(v.Attempts), true, true
	case config.OpConnectionID:
		if v.Conn == nil {
			return 0, true, true
		}
		return int64(v.Conn.ID), true, true
	case config.OpUpstreamConnectionID:
		return int64(v.Upstream.ConnID), true, true
	case config.OpDuration:
		end := t.Ended
		if end == 0 {
			end = v.Now
		}
		return span(t.Began, end)
	case config.OpRequestDuration:
		return span(t.Began, t.RequestEnd)
	case config.OpRequestTxDuration:
		return span(t.Began, t.UpstreamSendEnd)
	case config.OpResponseDuration:
		return span(t.Began, t.UpstreamRecvBegan)
	case config.OpResponseTxDuration:
		return span(t.UpstreamRecvBegan, t.SendEnd)
	case config.OpPoolReadyDuration:
		return span(t.ConnectBegan, t.ConnectEnd)
	case config.OpDownstreamHandshakeDuration, config.OpRoundtripDuration:
		return 0, false, true // not measured
	case config.OpCommonDuration:
		n, ok = p.between(t)
		return n, ok, true
	case config.OpUpstreamLocalPort, config.OpUpstreamRemotePort, config.OpDownstreamLocalPort,
		config.OpDownstreamRemotePort, config.OpDownstreamDirectRemotePort:
		a := p.whose(v)
		return int64(a.Port()), a.IsValid(), true
	}
	return 0, false, false
}

// span is from one moment to another, in milliseconds.
func span(from, to int64) (int64, bool, bool) {
	if from == 0 || to == 0 {
		return 0, false, true
	}
	return (to - from) / int64(time.Millisecond), true, true
}

// between is a COMMON_DURATION.
func (p *part) between(t *streaminfo.Times) (int64, bool) {
	from, to := point(p.Path[0], t), point(p.Path[1], t)
	if from == 0 || to == 0 || to < from {
		return 0, false
	}
	switch p.Mode {
	case config.InMicroseconds:
		return (to - from) / int64(time.Microsecond), true
	case config.InNanoseconds:
		return to - from, true
	}
	return (to - from) / int64(time.Millisecond), true
}

// point is a moment by Envoy's name, 0 if it has not come or is not known.
func point(name string, t *streaminfo.Times) int64 {
	switch name {
	case "DS_RX_BEG":
		return t.Began
	case "DS_RX_END":
		return t.RequestEnd
	case "US_CX_BEG":
		return t.ConnectBegan
	case "US_CX_END":
		return t.ConnectEnd
	case "US_HS_END":
		return t.HandshakeEnd
	case "US_TX_BEG":
		return t.UpstreamSendBegan
	case "US_TX_END":
		return t.UpstreamSendEnd
	case "US_RX_BEG":
		return t.UpstreamRecvBegan
	case "US_RX_END":
		return t.UpstreamRecvEnd
	case "DS_TX_BEG":
		return t.SendBegan
	case "DS_TX_END":
		return t.SendEnd
	}
	return 0
}

// whose is the address that an operator is about.
func (p *part) whose(v *streaminfo.View) netip.AddrPort {
	switch p.Op {
	case config.OpUpstreamLocal, config.OpUpstreamLocalNoPort, config.OpUpstreamLocalPort:
		return v.Upstream.Local
	case config.OpUpstreamRemote, config.OpUpstreamRemoteNoPort, config.OpUpstreamRemotePort:
		return v.Upstream.Remote
	case config.OpDownstreamRemote, config.OpDownstreamRemoteNoPort, config.OpDownstreamRemotePort:
		return v.Remote
	case config.OpDownstreamLocal, config.OpDownstreamLocalNoPort, config.OpDownstreamLocalPort:
		if v.Conn != nil {
			return v.Conn.Local
		}
	case config.OpDownstreamDirectRemote, config.OpDownstreamDirectRemoteNoPort, config.OpDownstreamDirectRemotePort:
		if v.Conn != nil {
			return v.Conn.Direct()
		}
	}
	return netip.AddrPort{}
}

// address appends an address or a host's name; !known: the operator is neither.
func (p *part) address(dst []byte, v *streaminfo.View) (out []byte, ok, known bool) {
	switch p.Op {
	case config.OpUpstreamLocal, config.OpUpstreamRemote, config.OpDownstreamLocal,
		config.OpDownstreamRemote, config.OpDownstreamDirectRemote:
		a := p.whose(v)
		if !a.IsValid() {
			return dst, false, true
		}
		return a.AppendTo(dst), true, true
	case config.OpUpstreamLocalNoPort, config.OpUpstreamRemoteNoPort, config.OpDownstreamLocalNoPort,
		config.OpDownstreamRemoteNoPort, config.OpDownstreamDirectRemoteNoPort:
		a := p.whose(v)
		if !a.IsValid() {
			return dst, false, true
		}
		return a.Addr().AppendTo(dst), true, true
	case config.OpUpstreamHost, config.OpUpstreamHostName, config.OpUpstreamHostNameNoPort:
		out, ok = p.host(dst, &v.Upstream)
		return out, ok, true
	case config.OpUpstreamCluster:
		if c := v.Upstream.Cluster; c != nil {
			if c.AltStatName != "" {
				return append(dst, c.AltStatName...), true, true
			}
			return append(dst, c.Name...), true, true
		}
		return dst, false, true
	case config.OpUpstreamClusterRaw:
		if c := v.Upstream.Cluster; c != nil {
			return append(dst, c.Name...), true, true
		}
		return dst, false, true
	}
	return dst, false, false
}

func (p *part) host(dst []byte, u *streaminfo.Upstream) ([]byte, bool) {
	if u.Host == nil {
		return dst, false
	}
	if p.Op != config.OpUpstreamHost && u.Host.Hostname != "" {
		name := u.Host.Hostname
		if p.Op == config.OpUpstreamHostNameNoPort {
			name = withoutPort(name)
		}
		return append(dst, name...), true
	}
	a := u.Address
	if a.IsZero() {
		a = u.Host.Address
	}
	switch {
	case !a.IP.IsValid():
		name := a.String()
		if p.Op == config.OpUpstreamHostNameNoPort && a.Path == "" {
			name = withoutPort(name)
		}
		return append(dst, name...), true
	case p.Op == config.OpUpstreamHostNameNoPort:
		return a.IP.Addr().AppendTo(dst), true
	}
	return a.IP.AppendTo(dst), true
}

// withoutPort cuts ":port" off.
func withoutPort(name string) string {
	for i := len(name) - 1; i >= 0 && name[i] != ']'; i-- {
		if name[i] == ':' {
			return name[:i]
		}
	}
	return name
}
