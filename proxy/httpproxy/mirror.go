package httpproxy

// Copies of a request for shadow clusters (Envoy router.cc, shadow_writer_impl.cc).
//
//	pick ─▶ mirror: the head is copied ─▶ tap: the body is, as it passes, up to a limit
//	                                            │ the request is whole
//	                                            ▼
//	                               one callout for each policy; its answer is thrown away
//
// Nothing of the request itself waits for any of it, and what becomes of a copy
// changes nothing. A request that never becomes whole, or is longer than the limit,
// is not mirrored.

import (
	"bytes"
	"fmt"
	"time"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// tap has the copies of one request until it is whole.
type tap struct {
	copies []*shadow
	body   []byte
	limit  int
	over   bool // the body is longer
	// abandoned counts that (retry_or_shadow_abandoned).
	abandoned *uint64
}

// shadow is a copy on its way. It is a coroutine's own, but for the body, which
// nobody changes any more.
type shadow struct {
	call    callout.Call
	req     callout.Request
	cluster *upstream.Cluster
}

// mirror copies the request's head for the mirrors that take it. A tunnel is not
// mirrored: it has no end.
func (x *exchange) mirror() {
	if x.upgrades || x.shadowed {
		return
	}
	x.shadowed = true
	var t *tap
	for i := range x.route.Mirrors {
		m := &x.route.Mirrors[i]
		if !m.Takes(x.random) {
			continue
		}
		c, ok := m.Cluster(x.route, &x.view)
		if !ok {
			continue
		}
		if t == nil {
			t = &tap{limit: x.conn.limit, abandoned: &x.cluster.Count.RetryAbandoned}
		}
		t.copies = append(t.copies, x.shadow(m, c))
	}
	x.in.tap = t
}

// shadow copies the head for one mirror.
func (x *exchange) shadow(m *route.Mirror[*upstream.Cluster], c *upstream.Cluster) *shadow {
	v, s := &x.view, &shadow{cluster: c}
	lines := make([]http1.Header, 0, len(x.req.Headers)+1)
	for i := range x.req.Headers {
		if h := x.req.Headers[i]; !h.Hop && h.ID != http1.FieldContentLength {
			h.Name, h.Value = bytes.Clone(h.Name), bytes.Clone(h.Value)
			lines = append(lines, h)
		}
	}
	f := fields{&lines}
	f.put("x-envoy-internal", bytesOf("true"))
	var made *route.Eval
	if route.HasFormats(m.Ops) { // its values outlive the request
		own, head := *x.look(), *v
		own.Request = &head
		made = &route.Eval{View: &own, Lines: f.lines}
	}
	route.Apply(m.Ops, f, made)
	host := bytes.Clone(v.Host)
	if m.HostRewrite != "" {
		host = bytesOf(m.HostRewrite)
	}
	if !m.KeepHost {
		host = shadowHost(host)
	}
	s.req = callout.Request{
		Method: bytes.Clone(x.req.Method), Scheme: bytes.Clone(v.Scheme), Authority: host, Path: bytes.Clone(v.Path),
		Headers: lines, Timeout: x.timeout, Discard: true, Hash: x.hash.Sum, HasHash: x.hash.OK,
	}
	return s
}

// shadowHost appends "-shadow" to a host's name, before its port.
func shadowHost(host []byte) []byte {
	at := bytes.LastIndexByte(host, ':')
	if at < bytes.LastIndexByte(host, ']') || at < 0 || len(bytes.Trim(host[at+1:], "0123456789")) > 0 {
		at = len(host)
	}
	return append(append(append(make([]byte, 0, len(host)+7), host[:at]...), "-shadow"...), host[at:]...)
}

// take copies data of the body.
func (t *tap) take(data []byte) {
	if t.over {
		return
	}
	if len(t.body)+len(data) > t.limit {
		t.over, t.body = true, nil
		*t.abandoned++
		return
	}
	t.body = append(t.body, data...)
}

// send lets the copies go: the request is whole. hasBody says that it has a body,
// be it empty.
func (t *tap) send(w *loop.Worker, hasBody bool) {
	if t.over {
		return
	}
	if hasBody && t.body == nil {
		t.body = []byte{}
	}
	for _, s := range t.copies {
		s.req.Body = t.body
		if s.req.Timeout <= 0 {
			s.req.Timeout = longestShadow
		}
		w.Go(func() { s.call.Ask(w, s.cluster, &s.req) })
	}
}

// longestShadow bounds a copy whose request has no limit: somebody would wait for
// the request itself, but nobody does for this.
const longestShadow = 5 * time.Minute

// checkMirrors checks the changes to copies as those to requests are checked.
func checkMirrors(all []config.Mirror) error {
	for i := range all {
		for j := range all[i].Headers {
			if err := checkOps(&all[i].Headers[j]); err != nil {
				return fmt.Errorf("mirror: %w", err)
			}
		}
	}
	return nil
}
