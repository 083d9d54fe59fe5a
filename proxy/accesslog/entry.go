package accesslog

// Entries as messages of envoy.data.accesslog.v3 (Envoy grpc_access_log_utils.cc,
// http_grpc_access_log_impl.cc, tcp_grpc_access_log_impl.cc).

import (
	"crypto/tls"
	"net/netip"
	"time"

	wire "github.com/attache-mesh/attache/proxy/codec/protowire"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/transport"
)

// appendTCP appends a TCPAccessLogEntry to a list of them.
func appendTCP(b []byte, v *streaminfo.View, asked *config.GRPCLog) []byte {
	b, entry := wire.Begin(b, 1)
	b = appendCommon(b, v, asked)
	b, at := wire.Begin(b, 2)
	b = wire.AppendUint(wire.AppendUint(b, 1, v.Bytes.Received), 2, v.Bytes.Sent)
	return wire.End(wire.End(b, at), entry)
}

// appendHTTP appends an HTTPAccessLogEntry to a list of them.
func appendHTTP(b []byte, v *streaminfo.View, asked *config.GRPCLog) []byte {
	b, entry := wire.Begin(b, 1)
	b = appendCommon(b, v, asked)
	b = wire.AppendUint(b, 2, uint64(v.Protocol)) // as HTTPVersion counts: 1.0, 1.1, 2
	b = appendRequest(b, v, asked)
	b = appendResponse(b, v, asked)
	return wire.End(b, entry)
}

func appendRequest(b []byte, v *streaminfo.View, asked *config.GRPCLog) []byte {
	b, at := wire.Begin(b, 3)
	if r := v.Request; r != nil {
		b = wire.AppendUint(b, 1, method(r.Method))
		b = wire.AppendText(wire.AppendText(wire.AppendText(b, 2, r.Scheme), 3, r.Host), 5, r.Path)
		for _, f := range [...]struct {
			number int
			name   string
		}{{6, "user-agent"}, {7, "referer"}, {8, "x-forwarded-for"}} {
			b = wire.AppendText(b, f.number, text(r.Headers, f.name))
		}
		b = wire.AppendText(b, 9, v.RequestID)
		b = wire.AppendText(b, 10, text(r.Headers, "x-envoy-original-path"))
	}
	b = wire.AppendUint(wire.AppendUint(b, 11, v.Bytes.RequestHead), 12, v.Bytes.Received)
	if v.Request != nil {
		b = appendLines(b, 13, v.Request.Headers, asked.Request)
	}
	b = wire.AppendUint(wire.AppendUint(b, 14, v.Bytes.UpstreamHeadSent), 15, v.Bytes.RequestHead)
	return wire.End(b, at)
}

func appendResponse(b []byte, v *streaminfo.View, asked *config.GRPCLog) []byte {
	b, at := wire.Begin(b, 4)
	if v.Status > 0 {
		b = appendNumber(b, 1, uint64(v.Status))
	}
	b = wire.AppendUint(wire.AppendUint(b, 2, v.Bytes.ResponseHead), 3, v.Bytes.Sent)
	b = appendLines(b, 4, v.Response, asked.Response)
	b = appendLines(b, 5, v.Trailers, asked.Trailers)
	b = wire.AppendText(b, 6, v.CodeDetails())
	b = wire.AppendUint(wire.AppendUint(b, 7, v.Bytes.UpstreamHeadReceived), 8, v.Bytes.ResponseHead)
	return wire.End(b, at)
}

// appendCommon appends AccessLogCommon.
func appendCommon(b []byte, v *streaminfo.View, asked *config.GRPCLog) []byte {
	b, at := wire.Begin(b, 1)
	b = appendAddress(b, 2, v.Remote)
	if v.Conn != nil {
		b = appendAddress(b, 3, v.Conn.Local)
		b = appendTLS(b, 4, v.Conn.TLS, v.Conn.SNI())
	}
	b = appendTimes(b, v)
	b = appendAddress(appendAddress(b, 13, v.Upstream.Remote), 14, v.Upstream.Local)
	if c := v.Upstream.Cluster; c != nil {
		b = wire.AppendText(b, 15, c.Name)
	}
	b = appendFlags(b, 16, v)
	b = callout.AppendMetadata(b, 17, v.Info, namespaces(v.Info), nil)
	b = wire.AppendText(wire.AppendText(b, 18, v.Upstream.Failure), 19, v.RouteName())
	if v.Conn != nil {
		b = appendAddress(b, 20, v.Conn.Direct())
	}
	for _, name := range asked.State {
		b = appendObject(b, 21, v.Object(name))
	}
	b = wire.AppendUint(b, 24, uint64(v.Attempts))
	b = wire.AppendText(b, 25, v.Termination)
	b = wire.AppendText(b, 26, v.RequestID)
	switch v.Log {
	case streaminfo.DownstreamStart, streaminfo.DownstreamPeriodic, streaminfo.TCPUpstreamConnected, streaminfo.TCPPeriodic, streaminfo.UpstreamPoolReady, streaminfo.UpstreamPeriodic:
		b = wire.AppendBool(b, 27, true)
	}
	b = wire.AppendUint(wire.AppendUint(b, 29, v.Bytes.WireSent), 30, v.Bytes.WireReceived)
	b = wire.AppendUint(wire.AppendUint(b, 31, v.Bytes.UpstreamWireSent), 32, v.Bytes.UpstreamWireReceived)
	b = wire.AppendUint(b, 33, uint64(v.Log))
	return wire.End(b, at)
}

// appendTimes appends when it began, and how long after that the rest happened.
func appendTimes(b []byte, v *streaminfo.View) []byte {
	t := &v.Times
	b = appendTime(b, 5, v.At(t.Began))
	for _, x := range [...]struct {
		number int
		at     int64
	}{
		{6, t.RequestEnd},
		{7, t.UpstreamSendBegan},
		{8, t.UpstreamSendEnd},
		{9, t.UpstreamRecvBegan},
		{10, t.UpstreamRecvEnd},
		{11, t.SendBegan},
		{12, t.SendEnd},
		{23, t.Ended},
	} {
		if x.at > 0 {
			b = appendDuration(b, x.number, time.Duration(x.at-t.Began))
		}
	}
	return b
}

// appendFlags appends ResponseFlags: their fields are in the order of the flags' bits,
// but for three (Utility::responseFlagsToAccessLogResponseFlags).
func appendFlags(b []byte, number int, v *streaminfo.View) []byte {
	if v.Flags == 0 {
		return b
	}
	b, at := wire.Begin(b, number)
	for bit := range 30 {
		flag := streaminfo.Flags(1) << bit
		if v.Flags&flag == 0 {
			continue
		}
		switch flag {
		case streaminfo.UnauthorizedExternalService:
			var details int
			b, details = wire.Begin(b, 13)
			b = wire.End(wire.AppendUint(b, 1, 1), details) // EXTERNAL_SERVICE
		case streaminfo.DropOverload, streaminfo.UnconditionalDropOverload: // they have no field
		case streaminfo.DownstreamRemoteReset:
			b = wire.AppendBool(b, 28, true)
		default:
			b = wire.AppendBool(b, bit+1, true)
		}
	}
	return wire.End(b, at)
}

// appendTLS appends TLSProperties.
func appendTLS(b []byte, number int, s *transport.State, name string) []byte {
	if s == nil {
		return b
	}
	b, at := wire.Begin(b, number)
	if s.Version >= tls.VersionTLS10 {
		b = wire.AppendUint(b, 1, uint64(s.Version-tls.VersionTLS10)+1)
	}
	b = appendNumber(b, 2, uint64(s.Cipher))
	b = wire.AppendText(b, 3, name)
	if s.Own != nil {
		b = appendCertificate(b, 4, s.Own)
	}
	if len(s.Peer) > 0 {
		b = appendCertificate(b, 5, s.Peer[0])
	}
	return wire.End(b, at)
}

// appendObject appends an object of filter state as an entry of a map: its text, as a
// google.protobuf.StringValue.
func appendObject(b []byte, number int, o *streaminfo.Object) []byte {
	if o == nil {
		return b
	}
	b, entry := wire.Begin(b, number)
	b = wire.AppendText(b, 1, o.Name)
	b, value := wire.Begin(b, 2)
	b = wire.AppendText(b, 1, "type.googleapis.com/google.protobuf.StringValue")
	b, inner := wire.Begin(b, 2)
	b = wire.End(wire.AppendText(b, 1, o.Text), inner)
	return wire.End(wire.End(b, value), entry)
}

// appendAddress appends a core.v3.Address.
func appendAddress(b []byte, number int, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return b
	}
	b, address := wire.Begin(b, number)
	b, socket := wire.Begin(b, 1)
	b = wire.AppendUint(wire.AppendText(b, 2, a.Addr().Unmap().String()), 3, uint64(a.Port()))
	return wire.End(wire.End(b, socket), address)
}
