package wasm

// Requests that the module makes.

import (
	"bytes"
	"time"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// call is one, in a coroutine of its own.
type call struct {
	in      *instance
	s       *stream // whose it is; nil: the root's
	token   uint32
	cluster *upstream.Cluster
	req     callout.Request
	own     callout.Call
	answer  *callout.Answer // while it is shown
	left    bool
}

// maxCalls bounds the requests that an instance has under way, maxAnswer an answer's body in bytes.
const (
	maxCalls  = 1024
	maxAnswer = 1 << 20
)

func hostHTTPCall(in *instance, a []uint64) uint64 {
	name, ok1 := in.text(a, 0)
	raw, ok2 := in.text(a, 2)
	body, ok3 := in.text(a, 4)
	if !ok1 || !ok2 || !ok3 {
		return statusMemory
	}
	headers, ok := parsePairs(raw)
	if !ok {
		return statusBadArgument
	}
	c := &call{in: in, s: in.current}
	q := &c.req
	for _, h := range headers {
		switch {
		case h.name == ":method" && usable(h.value, ""):
			q.Method = []byte(h.value)
		case h.name == ":path" && !bytes.ContainsAny([]byte(h.value), " \t"):
			q.Path = []byte(h.value)
		case (h.name == ":authority" || h.name == "host") && !bytes.ContainsAny([]byte(h.value), " \t"):
			q.Authority = []byte(h.value)
		case h.name[0] != ':' && usable(h.name, h.value) && !reserved(h.name):
			q.Headers = append(q.Headers, field(h))
		}
	}
	if in.w == nil || len(q.Method) == 0 || len(q.Path) == 0 || len(q.Authority) == 0 || len(in.calls) >= maxCalls {
		return statusBadArgument
	}
	if c.cluster = in.f.env.Cluster(name); c.cluster == nil {
		return statusBadArgument
	}
	if body != "" {
		q.Body = []byte(body)
	}
	q.Timeout, q.MaxBody = time.Duration(uint32(a[8]))*time.Millisecond, maxAnswer
	in.tokens++
	c.token = in.tokens
	in.calls[c.token] = c
	in.w.Go(c.run)
	return in.word(a[9], c.token)
}

// run asks, and shows the module what came; of a failure nothing.
func (c *call) run() {
	in := c.in
	if c.left || in.dead {
		return
	}
	a, o := c.own.Ask(in.w, c.cluster, &c.req)
	if c.left || in.dead {
		return
	}
	delete(in.calls, c.token)
	id, n, tail, size := uint64(root), 0, 0, 0
	if c.s != nil {
		id = uint64(c.s.id)
	}
	if o == outcome.OK {
		c.answer = a
		n, tail, size = len(c.pairs(false)), len(a.Trailers), len(a.Body)
	}
	before := in.heard
	in.heard = c
	in.about(c.s, "proxy_on_http_call_response", id, uint64(c.token), uint64(n), uint64(size), uint64(tail))
	in.heard, c.answer = before, nil
}

func (c *call) pairs(tail bool) (all []pair) {
	lines := c.answer.Trailers
	if !tail {
		lines = c.answer.Headers
		all = append(all, pair{":status", status(c.answer.Status)})
	}
	for i := range lines {
		if h := &lines[i]; !h.Hop {
			all = append(all, pair{string(bytes.ToLower(h.Name)), string(h.Value)})
		}
	}
	return all
}
