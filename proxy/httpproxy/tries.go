package httpproxy

// Filters that each attempt passes (Envoy's upstream HTTP filters), as they see it.

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// tried is an attempt that passes filters: those of its cluster, or else those of the
// router. It is their filter.Room.
//
//	pick ─▶ try ─▶ Request.Pass ─▶ filters ─▶ Ask: connect, send, wait
//	                                  │             │
//	 retry, or the router's ◀─────────┴── head of the answer
//
// The head is the request's own: what an attempt changes there the next one has, too
// (UpstreamRequest::acceptHeadersFromRouter). The body begins anew (trybody.go). What a
// filter answers by itself is the router's answer: nothing is sent again, and no filter
// of the attempt sees it (UpstreamFilterManager::sendLocalReply).
type tried struct {
	filtered
	spoken bool // a filter has answered
	said   outcome.Outcome

	body    tryBody // the request's, as the router has it
	need    *pause  // whoever waits for more of it
	reading bool    // a filter has asked for it
	feeding bool    // a coroutine sends what filters make of it
	left    bool    // the attempt is over
	framed  bool    // what frames the body was changed; it was so:
	kind    http1.Body
	length  int64
	line    []byte // of content-length; nil: there was none
}

// tryFilters finds what the attempt passes; nil: nothing.
func (x *exchange) tryFilters() *filter.Bound {
	if chain, ok := x.owner.Filtered().(*filter.Chain); ok {
		return x.here.bound(chain, x.served)
	}
	return x.served.tries
}

// tryBinding is a cluster's chain with what one table says of it.
type tryBinding struct {
	chain  *filter.Chain
	served *served
}

// maxBindings bounds the bindings that a worker keeps.
const maxBindings = 4096

// bound gives the chain as the table has it.
func (l *local) bound(chain *filter.Chain, s *served) *filter.Bound {
	if len(s.Table.compiled.Overrides) == 0 {
		return chain.Unbound()
	}
	key := tryBinding{chain, s}
	b := l.bindings[key]
	if b == nil {
		if l.bindings == nil || l.bindingsOf != l.room.table.Load() || len(l.bindings) >= maxBindings {
			l.bindings, l.bindingsOf = map[tryBinding]*filter.Bound{}, l.room.table.Load()
		}
		b = chain.Bind(s.Table.compiled.Overrides)
		l.bindings[key] = b
	}
	return b
}

// try makes one attempt: it brings the head of an answer, as filters leave it.
func (x *exchange) try() outcome.Outcome {
	if x.tryBound == nil {
		return x.attempts()
	}
	if x.race.resume {
		o := x.forward()
		x.showTry(o)
		return o
	}
	x.leaveTry()
	u := &tried{}
	u.enter(x)
	ok := u.r.Pass()
	switch {
	case u.spoken:
		return u.said
	case ok:
		x.resp.Status = u.r.Status
		return u.end
	case u.end != outcome.OK:
		return u.end
	case u.why != outcome.OK:
		return u.why
	}
	return x.clientLost()
}

// attempts sends the request, and again where its connection was dead already.
func (x *exchange) attempts() outcome.Outcome {
	o := x.forward()
	for x.again(o) {
		o = x.forward()
	}
	return o
}

// showTry shows an answer that came beside the chain, to an attempt that others were
// sent beside, to those filters that want to see such.
func (x *exchange) showTry(o outcome.Outcome) {
	if o != outcome.OK || x.tryBound == nil {
		return
	}
	x.leaveTry()
	u := &tried{}
	u.enter(x)
	u.show(false)
	u.r.Answered()
	x.resp.Status = u.r.Status
}

func (u *tried) enter(x *exchange) {
	x.tried, u.x = u, x
	f := &u.filtered
	f.came, f.answer = incoming{f: f}, coming{f: f}
	u.body.u = u
	x.info.Protocol = x.protocolOf()
	f.r.Worker, f.r.Info = x.w, &x.info
	f.r.Headers, f.r.Trailers = filter.FieldsOf(&x.req.Headers), filter.FieldsOf(&f.reqTail)
	f.r.AnswerTrailers = filter.FieldsOf(&f.ansTail)
	f.r.View, f.r.From = &x.view, &x.from
	f.r.GRPC, f.r.Upgrade = x.grpc, x.upgrades
	f.r.Begin(u, x.tryBound)
}

// leaveTry ends what filters have of the attempt before; its upstream's side has been
// given back.
func (x *exchange) leaveTry() {
	u := x.tried
	if u == nil {
		return
	}
	x.endFeed()
	u.unframe()
	u.r.End(u.end)
	x.tried = nil
}

// spoke says that a filter of the attempt has answered.
func (u *tried) spoke() bool { return u != nil && u.spoken }

// Ask sends the request and waits for the head of an answer.
func (u *tried) Ask() bool {
	x := u.x
	x.view.Headers = x.req.Headers
	if x.kept.there { // the request is logged as filters have left it
		x.kept.reset()
		x.keep()
	}
	if u.reads() && u.held == nil {
		u.end = x.forward() // the body is not all here, to be sent once more
	} else {
		u.end = x.attempts()
	}
	if u.end != outcome.OK || u.spoken {
		return false
	}
	u.answer.kind, u.answer.length = x.resp.Body, x.resp.ContentLength
	u.show(false)
	return true
}

// Reply makes an answer of a filter's. None of the others sees it here.
func (u *tried) Reply(a *filter.Reply) bool {
	x := u.x
	r := reply{status: a.Status, body: a.Body, filter: a}
	if r.status == 0 {
		r.status = a.Outcome.HTTPStatus()
	}
	if r.body == "" && !a.Empty && a.Status == 0 {
		r.body = a.Outcome.HTTPBody()
	}
	u.spoken, u.said, u.back = true, a.Outcome, nil
	x.replied, x.reply = a.Outcome == outcome.OK, r
	x.back.done = false // if a host has begun to answer: its connection is not used again
	x.info.Details = a.Details
	if a.Details == "" {
		x.info.Details = a.Outcome.Details()
	}
	return false
}

// ClearRoute does nothing: the route has been followed.
func (u *tried) ClearRoute() {}

// Override does nothing: the host has been picked.
func (u *tried) Override(upstream.Override) {}
