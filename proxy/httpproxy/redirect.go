package httpproxy

// Redirects that are followed here (Envoy router.cc, setupRedirect and
// convertRequestHeadersForInternalRedirect).
//
//	head of an answer ─▶ follows ─ no ─▶ the client is given the redirect
//	                        │ yes: the request becomes one for the location
//	                        ▼
//	            run: the filters and the router have it anew

import (
	"slices"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// following is what a request remembers of redirects that it has followed.
type following struct {
	now   bool // the request at hand is to be routed again
	times uint32
	paths []way
	note  any    // of the filter that has the request begin anew
	head  []byte // what its head is kept in then
}

// way is one way from a route to another, by their names.
type way struct{ from, to string }

// RedirectCounters are redirects that went to the client though the route would
// have them followed, by the reason.
type RedirectCounters struct {
	BadLocation, UnsafeScheme, TooMany, NoRoute, Predicate uint64
}

// follows makes the request one for the place that the answer names; false if the
// answer goes to the client.
func (x *exchange) follows() bool {
	p := x.route.Redirects
	if p == nil || !p.Follows(x.resp.Status) {
		return false
	}
	if !x.follow(p) {
		x.cluster.Count.RedirectFailed++
		return false
	}
	x.cluster.Count.Redirected++
	return true
}

// follow checks the target before anything of the request is changed.
func (x *exchange) follow(p *route.Redirects) bool {
	n, lines := &x.here.count.Redirects, fields{&x.resp.Headers}
	at := lines.find("location")
	if x.complete == 0 || !x.held.done || !x.held.on || x.reads() || x.informed > 0 || at < 0 {
		return false
	}
	scheme, host, path, ok := http1.SplitURL(x.resp.Headers[at].Value)
	if !ok || len(x.view.Path) == 0 {
		n.BadLocation++
		return false
	}
	secure, toSecure := string(x.view.Scheme) != "http" && x.here.room.env.Secure, string(scheme) == "https"
	if !p.CrossScheme && secure != toSecure {
		n.UnsafeScheme++
		return false
	}
	if x.followed.times >= p.Max {
		n.TooMany++
		return false
	}
	canonical, action := http1.AppendCanonicalPath(nil, path, x.here.room.paths)
	switch action {
	case http1.PathReject, http1.PathRedirect:
		n.BadLocation++
		return false
	case http1.PathChanged:
		path = canonical
	}
	v := x.view
	v.Scheme, v.Host, v.Path = scheme, host, path
	v.Headers = x.redirectLines(p)
	v.ForwardedProto = nil
	if f := (fields{&v.Headers}); f.Has("x-forwarded-proto") {
		v.ForwardedProto = v.Headers[f.find("x-forwarded-proto")].Value
	}
	to := x.served.compiled.Match(&v, x.random)
	if to == nil {
		n.NoRoute++
		return false
	}
	if !x.accepts(p, to, secure, toSecure) {
		n.Predicate++
		return false
	}
	x.turn(&v)
	return true
}

// accepts asks the predicates.
func (x *exchange) accepts(p *route.Redirects, to *route.Route[*upstream.Cluster], secure, toSecure bool) bool {
	if !p.Accepts(to.Name, secure, toSecure) {
		return false
	}
	if p.PreviousRoutes {
		w := way{x.route.Name, to.Name}
		if slices.Contains(x.followed.paths, w) {
			return false
		}
		x.followed.paths = append(x.followed.paths, w)
	}
	return true
}

// redirectLines are the request's header lines as the target sees them.
func (x *exchange) redirectLines(p *route.Redirects) []http1.Header {
	lines := slices.Clone(x.req.Headers)
	f := fields{&lines}
	for _, name := range p.CopyHeaders {
		f.Remove(name)
		for _, h := range x.resp.Headers {
			if !h.Hop && equalFold(h.Name, name) {
				lines = append(lines, http1.Header{Name: bytesOf(name), Value: h.Value, ID: http1.LookupField(bytesOf(name))})
			}
		}
	}
	scheme := "http"
	if x.here.room.env.Secure && string(x.view.Scheme) != "http" {
		scheme = "https"
	}
	url := append(append(append([]byte(scheme), "://"...), x.view.Host...), x.view.Path...)
	f.setBytes("x-envoy-original-url", url)
	return lines
}

// turn makes the request what v says, and gives the host back that has answered.
func (x *exchange) turn(v *route.Request) {
	x.view, x.req.Headers = *v, v.Headers
	if x.resp.Status == 303 && x.method != http1.MethodGet && x.method != http1.MethodHead {
		x.method, x.req.Method, x.req.MethodID, x.view.Method = http1.MethodGet, bytesOf("GET"), http1.MethodGet, bytesOf("GET")
		fields{&x.req.Headers}.Remove("content-length")
		x.held.free(x.w)
		x.held.trailers = nil
		x.req.Body, x.req.ContentLength = http1.BodyNone, 0
		x.in.reset(http1.BodyNone, 0)
	}
	old := x.out
	x.out = x.copyHead(0) // what the answer and the filters lend is gone soon
	if old != nil {
		x.w.FreeBuffer(old)
	}
	x.view.Headers, x.view.Method = x.req.Headers, x.req.Method
	if i := (fields{&x.req.Headers}).find("x-forwarded-proto"); i >= 0 {
		x.view.ForwardedProto = x.req.Headers[i].Value
	}
	x.judge(outcome.OK)
	x.upstreamEnds(outcome.OK, x.resp.Status)
	x.returnConn(x.backHead)
	x.leaveRetries()
	x.abort()
	x.retry.says.reset()
	x.retry.clear()
	x.backHead, x.complete, x.deadline = 0, 0, 0
	x.followed.times++
	x.followed.now = true
}

// reroute begins again with the request that follow has made.
func (x *exchange) reroute() {
	x.followed.now = false
	if x.flt != nil {
		x.flt.r.End(outcome.OK)
		x.flt.giveBack()
	}
	x.choose()
}

// pickKept is what pick does with a request that is kept already.
func (x *exchange) pickKept() {
	x.autoHost()
	x.view.Headers = x.req.Headers
	x.held.on, x.whole = true, true
}
