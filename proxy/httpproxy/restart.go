package httpproxy

// A request that a filter has begin anew, in place of the answer that it has
// (Envoy http/filter_manager.cc, recreateStream; http/conn_manager_impl.cc,
// ActiveStream::recreateStream).
//
//	answer ─▶ filter changes the request ─▶ Restart ─ error ─▶ the answer goes on
//	                                           │
//	                                           ▼
//	                      run: the filters and the router have it, without a body

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
)

// Restart has the request begin anew. Nothing is changed where it cannot.
func (f *filtered) Restart(note any) error {
	x := f.x
	if x.started || x.upgrades || !f.came.over() {
		return filter.ErrUnfinished
	}
	v := x.view
	v.Headers = x.req.Headers
	if x.served.compiled.Match(&v, x.random) == nil {
		return filter.ErrNoRoute
	}
	if x.method != http1.MethodHead { // whose answer has no body, whatever it is asked as
		f.SetMethod(bytesOf("GET"))
	}
	fields{&x.req.Headers}.Remove("content-length")
	if f.back == nil {
		x.returnConn(x.backHead)
	}
	x.release(outcome.LostMidway) // but for what was returned, its body has not come
	if x.cluster != nil {
		x.status = x.resp.Status
		x.countUpstream(f.end)
	}
	x.rewind()
	x.followed.now, x.followed.note = true, note
	return nil
}

// Resumed is the note of whoever had the request begin anew.
func (f *filtered) Resumed() any { return f.x.followed.note }

// over says whether all of the request is here, and takes what is buffered of it.
func (b *incoming) over() bool {
	x := b.f.x
	if x.in.done || x.in.kind == http1.BodyNone {
		return true
	}
	if x.pumping {
		return false
	}
	b.usedUp(&x.down)
	if s := x.down.s; s != nil {
		x.in.done = s.Last()
		if x.in.done {
			s.Discard(s.Pending())
		}
		return x.in.done
	}
	x.skipBody()
	return x.in.done
}

// rewind makes the exchange what it was when its head had come, with a head of its
// own: what filters lend is gone soon.
func (x *exchange) rewind() {
	x.req.Body, x.req.ContentLength, x.req.Expect100 = http1.BodyNone, 0, false
	x.in.reset(http1.BodyNone, 0)
	old := x.followed.head
	x.followed.head = x.copyHead(0)
	if old != nil {
		x.w.FreeBuffer(old)
	}
	x.view.Headers, x.view.Method = x.req.Headers, x.req.Method
	if i := (fields{&x.req.Headers}).find("x-forwarded-proto"); i >= 0 {
		x.view.ForwardedProto = x.req.Headers[i].Value
	}
	x.retry.says.reset()
	x.retry.clear()
	x.held.clear()
	x.kept.reset()
	x.resp.Reset()
	x.attempt, x.host, x.hostOn, x.cluster, x.owner = nil, nil, nil, nil, nil
	x.backHead, x.bodyAt, x.complete, x.deadline, x.status = 0, 0, 0, 0, 0
	x.tries, x.upErr, x.whole, x.untaken, x.gone, x.raw = 0, nil, false, false, false, false
	x.made, x.replied, x.reply, x.local, x.length = false, false, reply{}, nil, 0
	x.settled, x.stop, x.hash, x.shadowed = false, false, route.Hash{}, false
	x.ordinaryPatience()
}

// forget drops what is remembered of redirects.
func (x *exchange) forget() {
	if f := &x.followed; f.times > 0 || f.head != nil {
		if f.head != nil {
			x.w.FreeBuffer(f.head)
		}
		*f = following{}
	}
}
