package filter

// A request as filters have it.

import (
	"errors"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Room is what the HTTP room does for a request's filters. It is the room's to
// implement, and Request's alone to call.
type Room interface {
	// Ask routes the request, sends it and waits for the head of an answer. Where
	// there is none it makes one, that says why. False: there is nobody to answer.
	Ask() bool
	// Reply makes an answer in place of whatever answer there was.
	Reply(*Reply) bool
	// Body and AnswerBody give what comes; SetBody and SetAnswerBody put another in
	// its place, of length bytes or Unknown.
	Body() Body
	SetBody(b Body, length int)
	AnswerBody() Body
	SetAnswerBody(b Body, length int)
	// Await and Sleep wait; false if the request is over.
	Await(f, cancel func()) bool
	Sleep(d time.Duration) bool
	// Outcome is how the request has ended so far.
	Outcome() outcome.Outcome
	// Route gives the route; nil if there is none. ClearRoute forgets it. Overrides
	// is which of the table's overrides it has, -1: none.
	Route() (*route.Route[*upstream.Cluster], *route.Target[*upstream.Cluster])
	ClearRoute()
	Overrides() int
	// Lacks says what must come before there can be a route. Reroute routes anew by the
	// table that there is now, and gives the chain as that has it.
	Lacks() (config.Demand, bool)
	Reroute() *Bound
	// Override names the host that the request is to go to.
	Override(to upstream.Override)
	// Cluster gives the living cluster that the route has chosen; nil if there is
	// none.
	Cluster() *upstream.Cluster
	// Limits are how many bytes of a body are held, and how many header lines a message
	// may have.
	Limits() (buffer, headers int)
	// Look and Eval lend what is known of the request.
	Look() *streaminfo.View
	Eval(ops []route.Op, lines *[]http1.Header, answer bool) *route.Eval
	// SetMethod changes the method.
	SetMethod(method []byte)
	// SetReason gives the answer's reason phrase.
	SetReason(phrase string)
	// Restart has the request begin anew; Resumed is the note that came with that.
	Restart(note any) error
	Resumed() any
}

// Request is one request on its way through a chain, and its answer on the way
// back. It belongs to the request's coroutine. Every text that it gives stays
// good until the request ends.
type Request struct {
	// Worker is where it runs: its clock (Now), its randomness (Rand).
	Worker *loop.Worker
	// Headers are the request's lines, without the host.
	Headers Fields
	// Trailers are there when the body has come to its end.
	Trailers Fields
	// Status is the answer's, AnswerHeaders are its lines, AnswerTrailers are there
	// when its body has come to its end. From Next or Reply on.
	Status         int
	AnswerHeaders  Fields
	AnswerTrailers Fields
	// Local says that the answer was made here.
	Local bool
	// Details say why, if it was (RESPONSE_CODE_DETAILS).
	Details string
	// View is what routes match; its Headers are not kept up to date.
	View *route.Request
	// From is who asks.
	From *route.Conn
	// Info is what is known of the request: filters note their metadata and objects
	// there.
	Info *streaminfo.Info
	// GRPC says that the request is gRPC's by its content type, Upgrade that it asks
	// for another protocol or a tunnel.
	GRPC    bool
	Upgrade bool

	room     Room
	bound    *Bound
	first    []setting // as the route was when the chain was entered: what is on
	set      []setting // as the route is
	at       int       // the place whose filter runs
	answered bool      // there is an answer, or there will be none
	gone     bool      // nobody is left to work for
	enders   []Ender
	gate     func(*Request) bool // of the filter that runs; nil: none
	queue    []Filter            // of Through
}

// Begin makes r ready to pass a chain. The room's alone.
func (r *Request) Begin(room Room, bound *Bound) {
	r.room, r.bound = room, bound
	r.set = bound.set(room.Overrides())
	r.first, r.at, r.answered, r.gone = r.set, -1, false, false
}

// Pass passes the chain, from its first filter to the head of the answer. The
// room's alone. False: nobody is to be answered.
func (r *Request) Pass() bool { return r.Next() }

// End tells those that wait for it that the request is over. The room's alone.
func (r *Request) End(o outcome.Outcome) {
	for i := len(r.enders) - 1; i >= 0; i-- {
		e := r.enders[i]
		r.enders[i] = nil
		e.End(r, o)
	}
	*r = Request{enders: r.enders[:0]}
}

// Answered shows an answer that was made before the chain was entered to the
// filters that want to see those. The room's alone.
func (r *Request) Answered() {
	r.answered = true
	r.show(-1)
}

// Next runs what is behind the filter: the filters that are on, and at the end
// the route and the host. It is true when there is the head of an answer to work
// on, and false if there is none that is this filter's business: the client has
// gone, or a filter behind has replaced an answer that had already come past it.
func (r *Request) Next() bool {
	at, gate := r.at, r.gate
	r.gate = nil
	if len(r.queue) > 0 {
		f := r.queue[0]
		r.queue = r.queue[1:]
		f.Serve(r)
		return r.passed(gate)
	}
	places := r.bound.chain.places
	for r.at++; r.at < len(places); r.at++ {
		if !r.first[r.at].on {
			continue
		}
		p := &places[r.at]
		p.Filter.Serve(r)
		if !r.answered {
			panic("filter " + p.Name + " has neither gone on nor answered")
		}
		r.at = at
		return r.passed(gate)
	}
	r.gone = !r.room.Ask()
	r.at, r.answered = at, true
	return r.passed(gate)
}

// passed says whether an answer is the business of the filter whose Next returns.
func (r *Request) passed(gate func(*Request) bool) bool { return !r.gone && (gate == nil || gate(r)) }

// Gate lets ask decide, when the head of an answer is there, whether that is the filter's business: if not, the
// filter's next Next is false. It is for a filter around another.
func (r *Request) Gate(ask func(*Request) bool) { r.gate = ask }

// Through runs filters in this filter's place, and then what is behind it. Called instead of Next.
func (r *Request) Through(filters []Filter) {
	r.queue = filters
	r.Next()
	r.queue = nil
}

// Reply answers the request here. Called instead of Next, the answer goes through
// all filters, as Envoy's do: those behind that are an Answerer see it at once,
// this one when Reply returns, those before when their Next does. Called after
// Next it takes the place of the answer that there was, and no other filter sees
// it (FilterManager::sendDirectLocalReply).
func (r *Request) Reply(a *Reply) {
	late := r.answered
	r.answered = true
	if !r.room.Reply(a) || late {
		r.gone = true
		return
	}
	at := r.at
	r.show(at)
	r.at = at
}

// show lets the filters behind a place work on an answer.
func (r *Request) show(behind int) {
	for r.at = len(r.first) - 1; r.at > behind && !r.gone; r.at-- {
		if a := r.bound.chain.answerers[r.at]; a != nil && r.first[r.at].on {
			a.Answer(r)
		}
	}
}

// Over says that nobody is left to work for: Next was false, or a wait was.
func (r *Request) Over() bool { return r.gone }

// Why a request cannot begin anew: its body has not all come, or its client wants another protocol; or it would have no
// route.
var (
	ErrUnfinished = errors.New("the request is not here as a whole")
	ErrNoRoute    = errors.New("the request has no route")
)

// Restart has the request, with whatever its path and headers are by now, begin anew: a GET without a body (of a HEAD, a
// HEAD), which passes the whole chain once more. Called after Next, in place of the answer that there is, which nobody
// else sees; the filter returns then. An error changes nothing. Those that have the request then find note in Resumed.
func (r *Request) Restart(note any) error {
	err := r.room.Restart(note)
	if err == nil {
		r.gone = true
	}
	return err
}

// Resumed is the note of the filter that has had the request begin anew; nil if none has.
func (r *Request) Resumed() any { return r.room.Resumed() }

// Defer lets e hear of the request's end; those that came last hear first.
func (r *Request) Defer(e Ender) { r.enders = append(r.enders, e) }

// Own is what the route says of this filter, for Serve and Answer, not for readers: what its Place.Own made of the most
// specific level that says anything; nil if none does.
func (r *Request) Own() any {
	if own := r.set[r.at].own; len(own) > 0 {
		return own[0]
	}
	return nil
}

// Around is what the route says, most specifically, of a filter around this one; nil if nothing.
func (r *Request) Around() Around { return r.set[r.at].around }

// Owns are all levels, most specific first.
func (r *Request) Owns() []any { return r.set[r.at].own }

// Route gives the request's route and what the route has chosen; nil if there is
// none.
func (r *Request) Route() (*route.Route[*upstream.Cluster], *route.Target[*upstream.Cluster]) {
	return r.room.Route()
}

// Cluster gives the cluster that the request's route has chosen; nil if there is
// none.
func (r *Request) Cluster() *upstream.Cluster { return r.room.Cluster() }

// Outcome says how the answer came about: OK for a host's, or one that a filter has
// made on purpose. After Next.
func (r *Request) Outcome() outcome.Outcome { return r.room.Outcome() }

// SetReason gives the answer a reason phrase of its own, for clients that speak HTTP/1. After Next.
func (r *Request) SetReason(phrase string) { r.room.SetReason(phrase) }

// Override has the request go to a host of its own choice, at its first attempt
// (setUpstreamOverrideHost). Before Next.
func (r *Request) Override(to upstream.Override) { r.room.Override(to) }

// ClearRoute has the request matched once more before it goes on, as it is now
// (clearRouteCache). Which filters are on stays as it is.
func (r *Request) ClearRoute() {
	r.room.ClearRoute()
	r.set = r.bound.set(r.room.Overrides())
}

// Lacks says what a control plane must be asked for before the request can have a
// route; false if it has one, or nothing can be asked for.
func (r *Request) Lacks() (config.Demand, bool) { return r.room.Lacks() }

// Reroute has the request matched anew, by the route table that there is now. The
// filters behind are those of the new route.
func (r *Request) Reroute() {
	r.bound = r.room.Reroute()
	r.set = r.bound.set(r.room.Overrides())
	r.first = r.set
}

// Await runs f in a coroutine of its own and waits until it returns: a request to
// another service. It is false if the request is over before; then cancel is
// called, unless it is nil, and f, which goes on, must not touch r any more.
func (r *Request) Await(f, cancel func()) bool { return r.waited(r.room.Await(f, cancel)) }

// Lost notes that the request was over when its filter read a body by itself (ErrOver). The
// filter returns then.
func (r *Request) Lost() { r.waited(false) }

// Sleep waits for d, and is false if the request is over before.
func (r *Request) Sleep(d time.Duration) bool { return r.waited(r.room.Sleep(d)) }

// waited notes that a wait ended with the request.
func (r *Request) waited(ok bool) bool {
	if !ok {
		r.gone, r.answered = true, true
	}
	return ok
}

// Get gives a request header, or one of the pseudo-headers :method, :scheme,
// :authority (host) and :path.
func (r *Request) Get(name string) (value []byte, ok bool) {
	switch name {
	case ":method":
		return r.View.Method, true
	case ":scheme":
		return r.View.Scheme, true
	case ":authority", "host":
		return r.View.Host, r.View.Host != nil
	case ":path":
		return r.View.Path, len(r.View.Path) > 0
	}
	return r.Headers.Get(name)
}

// Put sets a request header, or one of the pseudo-headers; a path or a host does
// not choose another route unless ClearRoute is called.
func (r *Request) Put(name string, value []byte) {
	switch name {
	case ":method":
		r.room.SetMethod(value)
	case ":scheme":
		r.View.Scheme = value
	case ":authority", "host":
		r.View.Host = value
	case ":path":
		r.View.Path = value
	default:
		r.Headers.Put(name, value)
	}
}

// Matched is the request as a condition is held against it: with its lines as
// they are now. It is good until they change.
func (r *Request) Matched() *route.Request {
	r.View.Headers = *r.Headers.lines
	return r.View
}

// Apply runs header operations on the request, ApplyAnswer on its answer.
func (r *Request) Apply(ops []route.Op) { r.ApplyTo(ops, r.Headers, false) }

// ApplyAnswer runs header operations on the answer.
func (r *Request) ApplyAnswer(ops []route.Op) { r.ApplyTo(ops, r.AnswerHeaders, true) }

// ApplyTo runs header operations on lines; answer says that they are of the answer.
func (r *Request) ApplyTo(ops []route.Op, lines Fields, answer bool) {
	route.Apply(ops, lines, r.room.Eval(ops, lines.lines, answer))
}

// Look is the request as format strings and matchers see it, lent until the next
// wait.
func (r *Request) Look() *streaminfo.View {
	if r.room == nil { // it stands for a connection
		return &streaminfo.View{Info: r.Info, Now: r.Worker.Now()}
	}
	v := r.room.Look()
	v.Request.Headers = *r.Headers.lines
	if r.answered {
		v.Response, v.Answered, v.Trailers = *r.AnswerHeaders.lines, true, *r.AnswerTrailers.lines
	}
	return v
}

// Body is the request's body as this filter would be given it; nil if there is
// none. Before Next only.
func (r *Request) Body() Body { return r.room.Body() }

// SetBody puts b in its place: around what Body gave, or without it. length is
// that of the new body in bytes, or Unknown, or Same. Before Next only.
func (r *Request) SetBody(b Body, length int) { r.room.SetBody(b, length) }

// Buffer reads the whole body into memory, where those behind find it, and gives
// it the length that it then has. Of a body over limit bytes nothing goes on: the
// client is answered 413, and Buffer gives false, as it does if the client goes
// away. Before Next only.
func (r *Request) Buffer(limit int) (all []byte, ok bool) {
	return r.BufferElse(limit, &Reply{Outcome: outcome.BodyTooLarge})
}

// BufferElse is Buffer with the answer to a body over limit bytes.
func (r *Request) BufferElse(limit int, tooLarge *Reply) (all []byte, ok bool) {
	b := r.room.Body()
	if b == nil {
		return nil, true
	}
	all, over, err := readWhole(b, nil, limit)
	if no, ok := err.(*Refused); ok {
		r.Reply(no.Reply)
		return nil, false
	}
	if err != nil {
		return nil, r.waited(false)
	}
	if over {
		r.Reply(tooLarge)
		return nil, false
	}
	r.room.SetBody(&Held{all}, len(all))
	return all, true
}

// AnswerBody is the answer's body as this filter would be given it; nil if there
// is none. After Next.
func (r *Request) AnswerBody() Body { return r.room.AnswerBody() }

// BufferLimit is how many bytes of a body the room holds where nothing else is said.
func (r *Request) BufferLimit() int {
	n, _ := r.room.Limits()
	return n
}

// MaxHeaders is how many header lines a message may have.
func (r *Request) MaxHeaders() int {
	_, n := r.room.Limits()
	return n
}

// SetAnswerBody puts b in its place. After Next.
func (r *Request) SetAnswerBody(b Body, length int) { r.room.SetAnswerBody(b, length) }

// BufferAnswer reads the answer's whole body into memory. Over limit bytes the
// client is answered 500 instead, and it gives false. After Next.
func (r *Request) BufferAnswer(limit int) (all []byte, ok bool) {
	return r.BufferAnswerElse(limit, &Reply{Outcome: outcome.AnswerTooLarge})
}

// BufferAnswerElse is BufferAnswer with what the client is answered instead.
func (r *Request) BufferAnswerElse(limit int, tooLarge *Reply) (all []byte, ok bool) {
	b := r.room.AnswerBody()
	if b == nil {
		return nil, true
	}
	all, over, err := readWhole(b, nil, limit)
	if over || err != nil && err != ErrOver {
		r.Reply(tooLarge)
		return nil, false
	}
	if err != nil {
		return nil, r.waited(false)
	}
	r.room.SetAnswerBody(&Held{all}, len(all))
	return all, true
}

// Reply is an answer that a filter makes (sendLocalReply).
type Reply struct {
	// Outcome says what happened; OK for an answer that is no failure. It gives
	// status, body, details and flag, where the fields below do not.
	Outcome outcome.Outcome
	Status  int
	Body    string
	// Empty says that there is no body, whatever Outcome says.
	Empty bool
	// ContentType is that of Body; "" for text/plain.
	ContentType string
	// Headers are added to the answer.
	Headers []http1.Header
	// Details say why (RESPONSE_CODE_DETAILS).
	Details string
	// GRPCStatus is what a gRPC client is told, if HasGRPCStatus; else what the
	// status stands for.
	GRPCStatus    int
	HasGRPCStatus bool
	// Raw leaves out what is done for gRPC clients and by local_reply_config.
	Raw bool
}
