package httpproxy

// An exchange that passes filters, as they see it.

import (
	"strings"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// filtered is what an exchange has beside in a room with filters; it is their
// filter.Room. The worker keeps it for other requests.
//
//	match ─▶ filter ─▶ Request.Pass ─▶ filters ─▶ Ask: aim, pick, forward
//	                                      │                      │
//	             deliver, or answer ◀─────┴── head of the answer ┘
type filtered struct {
	x    *exchange
	r    filter.Request
	end  outcome.Outcome // how the request has ended so far
	why  outcome.Outcome // why a wait or a body was not to be gone on with
	kept []byte          // the head that an HTTP/1.1 client has sent

	head    bool     // the answer's head is the exchange's own
	came    incoming // the request's body as it comes
	out     filter.Body
	held    *filter.Held // out, if it is all there and nothing is around it
	answer  coming       // the answer's body as it comes
	back    filter.Body
	reqTail []http1.Header
	ansTail []http1.Header
	pauses  []*pause
	wants   upstream.Override // the host that the request names; Address "": none
	refused *filter.Reply     // what a reader of the request's body has said
	reason  []byte            // the answer's reason phrase; nil: that of its status
}

// filter lets the request pass the chain: an answer is then ready to be delivered,
// or has been made here.
func (x *exchange) filter(b *filter.Bound) outcome.Outcome {
	l := x.here
	if n := len(l.filters); n > 0 {
		x.flt = l.filters[n-1]
		l.filters = l.filters[:n-1]
	} else {
		x.flt = &filtered{}
	}
	f := x.flt
	f.begin(x, b)
	ok := f.r.Pass()
	switch {
	case x.followed.now:
		return outcome.OK
	case x.made || ok:
		x.resp.Status = f.r.Status
		return f.end
	case f.why != outcome.OK:
		return f.why
	case f.end != outcome.OK:
		return f.end
	}
	return outcome.DownstreamGone
}

func (f *filtered) begin(x *exchange, b *filter.Bound) {
	f.x = x
	f.came, f.answer = incoming{f: f}, coming{f: f}
	f.keepHead()
	x.info.Protocol = x.protocolOf()
	f.r.Worker, f.r.Info = x.w, &x.info
	f.r.Headers, f.r.Trailers = filter.FieldsOf(&x.req.Headers), filter.FieldsOf(&f.reqTail)
	f.r.AnswerTrailers = filter.FieldsOf(&f.ansTail)
	f.r.View, f.r.From = &x.view, &x.from
	f.r.GRPC, f.r.Upgrade = x.grpc, x.upgrades
	f.r.Begin(f, b)
}

// keepHead makes the head the exchange's own: filters may wait, and what an
// HTTP/1.1 client has sent is in its connection's buffer.
func (f *filtered) keepHead() {
	x := f.x
	if x.down.s != nil {
		return
	}
	f.kept = x.copyHead(0)
	name := bytesOf("Host")
	if string(x.hostName) == "host" {
		name = bytesOf("host")
	}
	x.hostName = name
	v := &x.view
	v.Headers = x.req.Headers
	lines := fields{&x.req.Headers}
	if i := lines.find("x-forwarded-proto"); i >= 0 {
		v.ForwardedProto = x.req.Headers[i].Value
	}
	x.down.discard(x.head)
	x.head = 0
}

// giveBack ends the exchange's use of f.
func (f *filtered) giveBack() {
	x := f.x
	if f.kept != nil {
		x.w.FreeBuffer(f.kept)
	}
	*f = filtered{r: f.r, reqTail: f.reqTail[:0], ansTail: f.ansTail[:0], pauses: f.pauses[:0]}
	x.flt = nil
	if l := x.here; len(l.filters) < maxFree {
		l.filters = append(l.filters, f)
	}
}

// Ask is the router.
func (f *filtered) Ask() bool {
	x := f.x
	x.view.Headers = x.req.Headers
	o := x.ask()
	f.end = o
	if x.followed.now {
		return false
	}
	if o == outcome.OK && !x.replied {
		f.answer.kind, f.answer.length = x.resp.Body, x.resp.ContentLength
		f.show(false)
		return true
	}
	if x.tried.spoke() {
		f.r.Details = x.info.Details
	}
	if a := f.refused; a != nil && o == a.Outcome {
		return f.Reply(a)
	}
	return f.make(o)
}

// Reply makes an answer of a filter's.
func (f *filtered) Reply(a *filter.Reply) bool {
	x := f.x
	r := reply{status: a.Status, body: a.Body, filter: a}
	if r.status == 0 {
		r.status = a.Outcome.HTTPStatus()
	}
	if r.body == "" && !a.Empty && a.Status == 0 {
		r.body = a.Outcome.HTTPBody()
	}
	f.end, f.back = a.Outcome, nil
	x.replied, x.reply = a.Outcome == outcome.OK, r
	f.r.Details = a.Details
	if a.Details == "" {
		f.r.Details = a.Outcome.Details()
	}
	x.info.Details = f.r.Details
	return f.make(a.Outcome)
}

// make makes the answer to a request that ended with o. What the request held of
// its host is given back first.
func (f *filtered) make(o outcome.Outcome) bool {
	x := f.x
	if x.started || o == outcome.DownstreamGone {
		return false
	}
	x.release(o)
	if !x.word(o) {
		return false
	}
	f.show(true)
	return true
}

// show gives the filters the answer.
func (f *filtered) show(local bool) {
	res := &f.x.resp
	f.x.info.Status = res.Status
	f.r.Status, f.r.AnswerHeaders, f.r.Local = res.Status, filter.FieldsOf(&res.Headers), local
}

// Route gives the route.
func (f *filtered) Route() (*route.Route[*upstream.Cluster], *route.Target[*upstream.Cluster]) {
	return f.x.route, f.x.target
}

// Cluster gives the route's cluster.
func (f *filtered) Cluster() *upstream.Cluster {
	if x := f.x; x.target != nil && x.known {
		return x.found
	}
	return nil
}

// ClearRoute matches again.
func (f *filtered) ClearRoute() {
	f.x.view.Headers = f.x.req.Headers
	f.x.choose()
}

// Reroute routes by the table that there is now.
func (f *filtered) Reroute() *filter.Bound {
	f.x.view.Headers = f.x.req.Headers
	f.x.useTable()
	f.x.choose()
	return f.x.chain()
}

// Lacks says what must come before there can be a route
// (conn_manager_impl.cc, RdsRouteConfigUpdateRequester).
func (f *filtered) Lacks() (d config.Demand, lacks bool) {
	x := f.x
	switch t := x.served.Table; {
	case x.route != nil:
		return d, false
	case t.lacks != nil:
		return *t.lacks, true
	case t.asked.VHDS != nil && len(x.view.Host) > 0 && len(x.view.Host) <= maxHost:
		from := t.asked.VHDS
		name := strings.ToLower(string(x.view.Host))
		return config.Demand{Kind: config.DemandHost, Table: t.asked.Name, Name: name, Source: from, Timeout: from.Patience()}, true
	}
	return d, false
}

// maxHost bounds the host that a virtual host is asked for, in bytes (RFC 1035 2.3.4,
// and a port).
const maxHost = 255 + 6

// Outcome is how the request has ended so far.
func (f *filtered) Outcome() outcome.Outcome { return f.end }

// Override names the host that the request is to go to.
func (f *filtered) Override(to upstream.Override) { f.wants = to }

// override is the host that the request names, nil if it names none.
func (x *exchange) override() *upstream.Override {
	if f := x.flt; f != nil && f.wants.Address != "" {
		return &f.wants
	}
	return nil
}

// Overrides is which of the table's there are for the route.
func (f *filtered) Overrides() int {
	switch x := f.x; {
	case x.target != nil:
		return x.target.Overrides
	case x.route != nil:
		return x.route.Overrides
	}
	return -1
}

// Limits are those of what is held of a request.
func (f *filtered) Limits() (buffer, headers int) {
	return f.x.conn.limit, f.x.here.room.limits.MaxHeaders
}

// Look lends what is known of the request.
func (f *filtered) Look() *streaminfo.View { return f.x.look() }

// Eval lends what values of header operations are made of.
func (f *filtered) Eval(ops []route.Op, lines *[]http1.Header, answer bool) *route.Eval {
	e := f.x.eval(ops, lines, answer)
	if e != nil && !answer {
		e.View.Request = &f.x.view // not what is kept of an earlier one
	}
	return e
}

// SetMethod changes the method.
func (f *filtered) SetMethod(method []byte) {
	x := f.x
	x.method = http1.LookupMethod(method)
	x.req.Method, x.req.MethodID, x.view.Method = method, x.method, method
}

// SetReason gives the answer's reason phrase.
func (f *filtered) SetReason(phrase string) { f.reason = append([]byte{}, phrase...) }

// reason is what filters have called the answer, nil if nothing.
func (x *exchange) reason() []byte {
	switch {
	case x.flt != nil && x.flt.reason != nil:
		return x.flt.reason
	case x.tried != nil && !x.made:
		return x.tried.reason
	}
	return nil
}

// showEarly shows an answer to those filters that want to see what was made before
// their chain was entered.
func (x *exchange) showEarly(o outcome.Outcome) {
	s := x.here.room.table.Load()
	if s.filters == nil || !s.filters.Answers() {
		return
	}
	f := &filtered{x: x}
	f.r.Worker, f.r.Info = x.w, &x.info
	f.r.Headers, f.r.View, f.r.From = filter.FieldsOf(&x.req.Headers), &x.view, &x.from
	f.r.AnswerTrailers = filter.FieldsOf(&f.ansTail)
	f.r.Details, f.end = x.info.Details, o
	f.show(true)
	f.r.Begin(f, s.filters)
	f.r.Answered()
	x.resp.Status = f.r.Status
	if f.back != nil {
		f.readLocal()
	}
	f.r.End(outcome.OK)
}
