package cel

// Envoy's attributes, looked up one at a time (filters/common/expr/context.cc). One that has no value is not there: an
// expression that asks for it has none either.

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"
	"unsafe"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/match"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/transport"
)

// activation is a request as an expression sees it.
type activation struct {
	view *streaminfo.View
	maps [ofValue]lazy // one of each kind
}

func newActivation() *activation {
	a := &activation{}
	for k := range a.maps {
		a.maps[k] = lazy{of: a, kind: kind(k)}
	}
	return a
}

// ResolveName finds what stands at the beginning of an attribute.
func (a *activation) ResolveName(name string) (any, bool) {
	var k kind
	ok := true
	switch name {
	case "request":
		k = ofRequest
	case "response":
		k = ofResponse
	case "connection":
		k = ofConnection
	case "upstream":
		k = ofUpstream
	case "source":
		k = ofSource
	case "destination":
		k = ofDestination
	case "metadata":
		k = ofMetadata
	case "filter_state":
		k = ofState
	case "xds":
		k = ofXDS
	default:
		ok = false
	}
	return &a.maps[k], ok
}

// Parent is none.
func (*activation) Parent() cel.Activation { return nil }

// find is the entry of a map, nil if there is none.
func (a *activation) find(k kind, key string) ref.Val {
	v := a.view
	switch k {
	case ofRequest:
		return a.request(v, key)
	case ofResponse:
		return a.response(v, key)
	case ofRequestHeaders:
		if v.Request == nil {
			return nil
		}
		name := match.NewName(key)
		return maybe(name.Joined(v.Request))
	case ofResponseHeaders:
		if key == ":status" && v.Answered {
			return types.String(strconv.Itoa(v.Status))
		}
		name := match.NewName(key)
		return maybe(name.JoinedIn(v.Response))
	case ofTrailers:
		name := match.NewName(key)
		return maybe(name.JoinedIn(v.Trailers))
	case ofConnection:
		return connection(v, key)
	case ofUpstream:
		return upstream(v, key)
	case ofSource:
		at := v.Remote
		if !at.IsValid() && v.Conn != nil {
			at = v.Conn.Peer
		}
		return peer(at, key)
	case ofDestination:
		if v.Conn == nil {
			return nil
		}
		return peer(v.Conn.Local, key)
	case ofMetadata:
		if key == "filter_metadata" {
			return &a.maps[ofFilterMetadata]
		}
	case ofFilterMetadata:
		if fields, ok := v.Metadata.All()[key]; ok {
			return toCEL(config.Value{Kind: config.ValueStruct, Fields: fields})
		}
	case ofState:
		return state(v, key)
	case ofXDS:
		return xds(v, key)
	case ofValue:
	}
	return nil
}

// text is borrowed from the request: the value is gone when the request is given back.
func text(b []byte) ref.Val { return types.String(unsafe.String(unsafe.SliceData(b), len(b))) }

func maybe(b []byte, ok bool) ref.Val {
	if !ok {
		return nil
	}
	return text(b)
}

// filled is a text that is not there if it is empty.
func filled(s string) ref.Val {
	if s == "" {
		return nil
	}
	return types.String(s)
}

func between(begin, end int64) ref.Val {
	if begin == 0 || end == 0 {
		return nil
	}
	return types.Duration{Duration: time.Duration(end - begin)}
}

func (a *activation) request(v *streaminfo.View, key string) ref.Val {
	switch key {
	case "headers":
		return &a.maps[ofRequestHeaders]
	case "time":
		return types.Timestamp{Time: v.At(v.Times.Began).UTC()}
	case "duration":
		return between(v.Times.Began, v.Times.RequestEnd)
	case "protocol":
		return filled(v.Protocol.String())
	case "size":
		return requestSize(v)
	case "total_size":
		n := int64(v.Bytes.Received)
		if v.Request != nil {
			n += sizeOf(v.Request.Headers) + int64(len(":method:scheme:authority:path")+
				len(v.Request.Method)+len(v.Request.Scheme)+len(v.Request.Host)+len(v.Request.Path))
		}
		return types.Int(n)
	}
	if v.Request == nil {
		return nil
	}
	path := v.Request.Path
	switch key {
	case "path":
		return maybe(path, len(path) > 0)
	case "url_path":
		before, _, _ := bytes.Cut(path, []byte{'?'})
		return text(before)
	case "query":
		_, query, _ := bytes.Cut(path, []byte{'?'})
		query, _, _ = bytes.Cut(query, []byte{'#'})
		return text(query)
	case "host":
		return maybe(v.Request.Host, v.Request.Host != nil)
	case "scheme":
		return maybe(v.Request.Scheme, len(v.Request.Scheme) > 0)
	case "method":
		return maybe(v.Request.Method, len(v.Request.Method) > 0)
	case "referer":
		return first(v.Request, "referer")
	case "useragent":
		return first(v.Request, "user-agent")
	case "id":
		if len(v.RequestID) > 0 {
			return text(v.RequestID)
		}
		return first(v.Request, "x-request-id")
	}
	return nil
}

func first(r *streaminfo.Request, header string) ref.Val {
	name := match.Name{Name: header}
	b, n := name.First(r)
	return maybe(b, n > 0)
}

func requestSize(v *streaminfo.View) ref.Val {
	if v.Request != nil {
		name := match.Name{Name: "content-length"}
		if b, n := name.First(v.Request); n > 0 {
			length, err := strconv.ParseInt(string(b), 10, 64)
			if err != nil {
				return nil
			}
			return types.Int(length)
		}
	}
	return types.Int(v.Bytes.Received)
}

func sizeOf(lines []streaminfo.Header) (n int64) {
	for i := range lines {
		n += int64(len(lines[i].Name) + len(lines[i].Value))
	}
	return n
}

func (a *activation) response(v *streaminfo.View, key string) ref.Val {
	switch key {
	case "code":
		if v.Status != 0 {
			return types.Int(v.Status)
		}
	case "code_details":
		return filled(v.CodeDetails())
	case "size":
		return types.Int(v.Bytes.Sent)
	case "total_size":
		return types.Int(int64(v.Bytes.Sent) + sizeOf(v.Response) + sizeOf(v.Trailers))
	case "headers":
		return &a.maps[ofResponseHeaders]
	case "trailers":
		return &a.maps[ofTrailers]
	case "flags":
		return types.Int(v.Flags)
	case "grpc_status":
		return grpcStatus(v)
	case "backend_latency":
		return between(v.Times.UpstreamSendBegan, v.Times.UpstreamRecvEnd)
	}
	return nil
}

// grpcStatus is that of the trailers, else of the head, else what the status stands for (Grpc::Common::getGrpcStatus).
func grpcStatus(v *streaminfo.View) ref.Val {
	name := match.Name{Name: "grpc-status"}
	for _, lines := range [2][]streaminfo.Header{v.Trailers, v.Response} {
		if b, n := name.FirstLine(lines); n > 0 {
			if code, err := strconv.ParseUint(string(b), 10, 32); err == nil {
				return types.Int(code)
			}
		}
	}
	switch v.Status {
	case 0:
		return nil
	case 400:
		return types.Int(13)
	case 401:
		return types.Int(16)
	case 403:
		return types.Int(7)
	case 404:
		return types.Int(12)
	case 429, 502, 503, 504:
		return types.Int(14)
	}
	return types.Int(2)
}

func connection(v *streaminfo.View, key string) ref.Val {
	c := v.Conn
	if c == nil {
		return nil
	}
	switch key {
	case "mtls":
		return types.Bool(c.TLS != nil && len(c.TLS.Peer) > 0)
	case "requested_server_name":
		return types.String(c.SNI())
	case "id":
		return types.Uint(c.ID)
	case "termination_details":
		return filled(v.Termination)
	}
	return secured(c.TLS, key)
}

// secured is what TLS has agreed on, on either side.
func secured(s *transport.State, key string) ref.Val {
	if s == nil {
		return nil
	}
	var peer *x509.Certificate
	if len(s.Peer) > 0 {
		peer = s.Peer[0]
	}
	switch key {
	case "tls_version":
		return types.String(transport.VersionName(s.Version))
	case "subject_local_certificate":
		return subject(s.Own)
	case "subject_peer_certificate":
		return subject(peer)
	case "uri_san_local_certificate":
		return uri(s.Own)
	case "uri_san_peer_certificate":
		return uri(peer)
	case "dns_san_local_certificate":
		return dns(s.Own)
	case "dns_san_peer_certificate":
		return dns(peer)
	case "sha256_peer_certificate_digest":
		if peer != nil {
			sum := sha256.Sum256(peer.Raw)
			return types.String(hex.EncodeToString(sum[:]))
		}
	}
	return nil
}

func subject(c *x509.Certificate) ref.Val {
	if c == nil {
		return types.String("")
	}
	return types.String(c.Subject.ToRDNSequence().String())
}

func uri(c *x509.Certificate) ref.Val {
	if c == nil || len(c.URIs) == 0 {
		return nil
	}
	return types.String(c.URIs[0].String())
}

func dns(c *x509.Certificate) ref.Val {
	if c == nil || len(c.DNSNames) == 0 {
		return nil
	}
	return types.String(c.DNSNames[0])
}

func peer(at netip.AddrPort, key string) ref.Val {
	if !at.IsValid() {
		return nil
	}
	switch key {
	case "address":
		return types.String(at.String())
	case "port":
		return types.Int(at.Port())
	}
	return nil
}

func upstream(v *streaminfo.View, key string) ref.Val {
	u := &v.Upstream
	switch key {
	case "address", "port":
		return hostAt(u, key)
	case "local_address":
		if u.Local.IsValid() {
			return types.String(u.Local.String())
		}
		return nil
	case "transport_failure_reason":
		return types.String(u.Failure)
	case "request_attempt_count":
		return types.Uint(v.Attempts)
	}
	return secured(u.TLS, key)
}

// hostAt is where the host is: where it was reached, if it is known by a name.
func hostAt(u *streaminfo.Upstream, key string) ref.Val {
	if u.Host == nil {
		return nil
	}
	a := u.Address
	if a.IsZero() {
		a = u.Host.Address
	}
	switch {
	case a.IP.IsValid():
		return peer(a.IP, key)
	case u.Remote.IsValid():
		return peer(u.Remote, key)
	case key == "address":
		return filled(a.String())
	}
	return nil
}

func state(v *streaminfo.View, key string) ref.Val {
	o := v.Object(key)
	if o == nil {
		return nil
	}
	if o.Fields.Kind != config.ValueNull {
		return toCEL(o.Fields)
	}
	return types.Bytes(o.Text)
}

func xds(v *streaminfo.View, key string) ref.Val {
	switch key {
	case "cluster_name":
		if v.Upstream.Cluster != nil {
			return types.String(v.Upstream.Cluster.Name)
		}
	case "cluster_metadata":
		if v.Upstream.Cluster != nil {
			return metadata(v.Upstream.Cluster.Metadata)
		}
	case "route_name":
		if v.Route != nil {
			return types.String(v.Route.Name)
		}
	case "route_metadata":
		if v.Route != nil {
			return metadata(v.Route.Metadata)
		}
	case "virtual_host_name":
		if v.VirtualHost != nil {
			return types.String(v.VirtualHost.Name)
		}
	case "virtual_host_metadata":
		if v.VirtualHost != nil {
			return metadata(v.VirtualHost.Metadata)
		}
	case "upstream_host_metadata":
		if v.Upstream.Host != nil {
			return metadata(v.Upstream.Host.FilterMetadata)
		}
	case "filter_chain_name":
		if v.Conn != nil && v.Conn.Place != nil {
			return types.String(v.Conn.Place.Chain)
		}
		return types.String("")
	case "listener_metadata":
		if v.Conn != nil && v.Conn.Place != nil {
			return metadata(v.Conn.Place.Metadata)
		}
	}
	return nil
}

// metadata is core.v3.Metadata.
func metadata(m config.FilterMetadata) ref.Val {
	all := make(map[string]config.Value, len(m))
	for namespace, fields := range m {
		all[namespace] = config.Value{Kind: config.ValueStruct, Fields: fields}
	}
	return toCEL(config.Value{Kind: config.ValueStruct, Fields: map[string]config.Value{
		"filter_metadata": {Kind: config.ValueStruct, Fields: all},
	}})
}
