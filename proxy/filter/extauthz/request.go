package extauthz

// What the service is told (envoy.service.auth.v3.CheckRequest; Envoy
// check_request_utils.cc).

import (
	"bytes"
	"crypto/x509"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/codec/http1"
	wire "github.com/attache-mesh/attache/proxy/codec/protowire"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// partialBody says whether the body that is sent is not all of it.
const partialBody = "x-envoy-auth-partial-body"

// sends says whether the service is told of a header.
func (f *Filter) sends(name []byte) bool {
	return string(name) != partialBody && !f.hidden.match(name) &&
		(!f.limited || f.allowed.match(name))
}

// eachHeader yields the headers that are sent, pseudo-headers first, names in lower
// case.
func (f *Filter) eachHeader(r *filter.Request, yield func(name, value []byte)) {
	for _, name := range [...]string{":authority", ":path", ":method", ":scheme"} {
		if v, ok := r.Get(name); ok && f.sends([]byte(name)) {
			yield([]byte(name), v)
		}
	}
	r.Headers.Each(func(name, value []byte) bool {
		if name = bytes.ToLower(name); f.sends(name) {
			yield(name, value)
		}
		return true
	})
}

// checkRequest is the message.
func (x *check) checkRequest(r *filter.Request) []byte {
	f := x.f
	b, attributes := wire.Begin(nil, 1)
	service, _ := r.Headers.Get("x-envoy-downstream-service-cluster")
	b = f.appendPeer(b, 1, r, false, service)
	b = f.appendPeer(b, 2, r, true, nil)
	b, request := wire.Begin(b, 4)
	b = x.appendHTTP(appendTime(b, 1, f.env.Wall().Add(-time.Duration(r.Worker.Now()-r.Info.Times.Began))), r)
	b = wire.End(b, request)
	for _, key := range slices.Sorted(maps.Keys(x.context)) {
		b = appendEntry(b, 10, key, []byte(x.context[key]), false)
	}
	if len(f.cfg.Metadata)+len(f.cfg.Typed) > 0 {
		b = callout.AppendMetadata(b, 11, r.Info, f.cfg.Metadata, f.cfg.Typed)
	}
	if c := r.Info.Conn; f.cfg.TLSSession {
		var session int
		b, session = wire.Begin(b, 12)
		if c != nil {
			b = wire.AppendText(b, 1, c.ServerName)
		}
		b = wire.End(b, session)
	}
	if len(f.cfg.RouteMetadata)+len(f.cfg.RouteTyped) > 0 {
		b = callout.AppendRouteMetadata(b, 13, r.Info, f.cfg.RouteMetadata, f.cfg.RouteTyped)
	}
	return wire.End(b, attributes)
}

func appendTime(b []byte, number int, t time.Time) []byte {
	b, at := wire.Begin(b, number)
	b = wire.AppendInt(wire.AppendInt(b, 1, t.Unix()), 2, int64(t.Nanosecond()))
	return wire.End(b, at)
}

// appendPeer appends one end of the connection.
func (f *Filter) appendPeer(b []byte, number int, r *filter.Request, local bool, service []byte) []byte {
	b, peer := wire.Begin(b, number)
	at := r.From.Remote
	if local {
		at = r.From.Local
	}
	b = appendAddress(b, 1, at)
	b = wire.AppendText(b, 2, valid(service))
	if c := r.Info.Conn; c != nil && c.TLS != nil {
		cert := c.TLS.Own
		if !local {
			cert = nil
			if len(c.TLS.Peer) > 0 {
				cert = c.TLS.Peer[0]
			}
		}
		b = wire.AppendText(b, 4, principal(cert))
		if cert != nil && !local && f.cfg.Certificate {
			b = wire.AppendText(b, 5, format.URLPEM(cert))
		}
	}
	if local {
		b = appendLabels(b, f.cfg.Labels)
	}
	return wire.End(b, peer)
}

// appendLabels appends those of this program to the destination.
func appendLabels(b []byte, labels []config.Metadata) []byte {
	for i := range labels {
		b = appendEntry(b, 3, labels[i].Key, []byte(labels[i].Value), true)
	}
	return b
}

func appendAddress(b []byte, number int, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return b
	}
	b, address := wire.Begin(b, number)
	b, socket := wire.Begin(b, 1)
	b = wire.AppendText(b, 2, a.Addr().Unmap().String())
	b = wire.AppendUint(b, 3, uint64(a.Port()))
	return wire.End(wire.End(b, socket), address)
}

// principal is the first URI of a certificate, its first name, or its subject.
func principal(c *x509.Certificate) string {
	switch {
	case c == nil:
		return ""
	case len(c.URIs) > 0:
		return c.URIs[0].String()
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	}
	return c.Subject.String()
}

func (x *check) appendHTTP(b []byte, r *filter.Request) []byte {
	f, v := x.f, r.View
	b, request := wire.Begin(b, 2)
	b = wire.AppendText(b, 1, strconv.FormatUint(x.w.Rand().Uint64(), 10))
	b = wire.AppendText(b, 2, valid(v.Method))
	if f.cfg.Raw {
		var list int
		b, list = wire.Begin(b, 13)
		f.eachHeader(r, func(name, value []byte) { b = appendRaw(b, name, value) })
		if x.hasBody {
			b = appendRaw(b, []byte(partialBody), strconv.AppendBool(nil, x.partial))
		}
		b = wire.End(b, list)
	} else {
		b = x.appendJoined(b, r)
	}
	b = wire.AppendText(b, 4, valid(v.Path))
	b = wire.AppendText(b, 5, valid(v.Host))
	b = wire.AppendText(b, 6, valid(v.Scheme))
	b = wire.AppendInt(b, 9, int64(len(x.body)))
	b = wire.AppendText(b, 10, protocolOf(r.Info))
	switch {
	case len(x.body) == 0:
	case x.pack:
		b = wire.AppendText(b, 12, x.body)
	default:
		b = wire.AppendText(b, 11, valid(x.body))
	}
	return wire.End(b, request)
}

func protocolOf(i *streaminfo.Info) string { return i.Protocol.String() }

// appendJoined appends the headers as a map: lines of one name joined by commas.
func (x *check) appendJoined(b []byte, r *filter.Request) []byte {
	var names []string
	values := map[string][]byte{}
	x.f.eachHeader(r, func(name, value []byte) {
		n := string(name)
		if old, ok := values[n]; ok {
			values[n] = append(append(old[:len(old):len(old)], ','), value...)
			return
		}
		names = append(names, n)
		values[n] = value
	})
	for _, n := range names {
		b = appendEntry(b, 3, n, values[n], true)
	}
	if x.hasBody {
		b = appendEntry(b, 3, partialBody, strconv.AppendBool(nil, x.partial), false)
	}
	return b
}

// appendEntry appends an entry of a map from string to string.
func appendEntry(b []byte, number int, key string, value []byte, sanitize bool) []byte {
	if sanitize {
		value = valid(value)
	}
	b, entry := wire.Begin(b, number)
	b = wire.AppendText(wire.AppendText(b, 1, key), 2, value)
	return wire.End(b, entry)
}

func appendRaw(b, name, value []byte) []byte {
	b, header := wire.Begin(b, 1)
	b = wire.AppendText(wire.AppendText(b, 1, name), 3, value)
	return wire.End(b, header)
}

// valid is text as a protobuf string may be: bytes that are no UTF-8 become '!'
// (MessageUtil::sanitizeUtf8String).
func valid(v []byte) []byte { return bytes.ToValidUTF8(v, []byte{'!'}) }

// httpLines are the headers of a request to a service that speaks HTTP.
func (x *check) httpLines(r *filter.Request) (lines []http1.Header) {
	x.f.eachHeader(r, func(name, value []byte) {
		id := http1.LookupField(name)
		if name[0] == ':' || id == http1.FieldContentLength || id.FramesMessage() {
			return
		}
		lines = append(lines, http1.Header{Name: name, Value: bytes.Clone(value), ID: id})
	})
	if x.hasBody {
		lines = append(lines, http1.Header{Name: []byte(partialBody), Value: strconv.AppendBool(nil, x.partial)})
	}
	fields := filter.FieldsOf(&lines)
	for i := range x.service.http.Add {
		h := &x.service.http.Add[i]
		fields.Set(strings.ToLower(h.Name), h.Value)
	}
	return lines
}
