package server

import (
	"context"
	"slices"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

// stream is one xDS stream: go-control-plane's cache and callbacks for it
// alone, so that what belongs to a client need not be looked up by a number.
//
// Two goroutines meet here: the stream's own, in go-control-plane's loop, and
// whoever publishes. Locks are taken in the order group, stream, audience.
type stream struct {
	server *Server
	number uint64
	sotw   bool
	only   string // the type of a stream that is not ADS
	from   caller
	since  time.Time
	life   *time.Timer // nil: no end
	// greeting ends a stream whose first request does not come.
	greeting *time.Timer

	ctx    context.Context
	cancel context.CancelCauseFunc

	met bool // the node is known; the stream's own goroutine only

	mu       sync.Mutex
	node     *core.Node // nil before the first request
	group    *group
	audience *audience
	watches  map[string]*watch
	names    int // subscribed, over all types
	building *sent
	closed   bool
}

// meet takes the first request's node: who it may be, and which group it gets.
func (st *stream) meet(node *core.Node) error {
	if len(node.GetExtensions()) > 0 { // not written when it is the node of before, which others read
		// Envoy lists every extension it has, which is most of a node and of no use here.
		node.Extensions = nil
	}
	if st.met {
		return nil
	}
	if node == nil {
		return grpcstatus.Error(codes.InvalidArgument, "node: the first request on a stream must carry it")
	}
	name, err := st.server.welcome(st.from, node, st.delta())
	if err != nil {
		return err
	}
	st.met = true
	st.greeting.Stop()
	st.server.group(name).join(st, node)
	return nil
}

// delta says that the stream is the incremental one of all types.
func (st *stream) delta() bool { return !st.sotw && st.only == "" }

// typeOf is the type that a request is about.
func (st *stream) typeOf(typeURL string) (string, error) {
	switch {
	case typeURL == "" && st.only == "":
		return "", grpcstatus.Error(codes.InvalidArgument, "type_url: required on an aggregated stream")
	case typeURL == "":
		return st.only, nil
	case st.only != "" && typeURL != st.only:
		return "", grpcstatus.Errorf(codes.InvalidArgument, "type_url: %q on a stream of %q", typeURL, st.only)
	case len(typeURL) > maxTypeURL:
		return "", grpcstatus.Errorf(codes.InvalidArgument, "type_url: longer than %d bytes", maxTypeURL)
	}
	return typeURL, nil
}

// watch finds or begins a type's watch. The lock is held.
func (st *stream) watch(typeURL string) (w *watch, first bool, err error) {
	if w = st.watches[typeURL]; w != nil {
		return w, false, nil
	}
	if len(st.watches) >= maxTypes {
		return nil, false, grpcstatus.Errorf(codes.ResourceExhausted, "type_url %q: more than %d types on one stream", typeURL, maxTypes)
	}
	w = &watch{typeURL: typeURL, sotw: st.sotw, known: map[string]string{}, owes: true, all: true}
	w.status.TypeURL = typeURL
	st.watches[typeURL] = w
	return w, true, nil
}

// subscribe limits what the stream asks for: w's names become in's. The lock
// is held.
func (st *stream) subscribe(w *watch, in interest) error {
	st.names += len(in.names) - w.status.Names
	w.want, w.status.Names = in, len(in.names)
	if most := st.server.limits.Names; st.names > most {
		return grpcstatus.Errorf(codes.ResourceExhausted, "resource_names of %s: more than %d on one stream", w.typeURL, most)
	}
	return nil
}

// view is the group as this stream sees it now; ok is false while nothing is
// published. The lock is held.
func (st *stream) view() (v view, ok bool) {
	now := st.group.current.Load()
	return view{now, st.audience}, now != nil
}

// review queues a response if w's client lacks something. The lock is held.
func (st *stream) review(w *watch) {
	if !w.open || w.queued || len(w.flight) >= maxFlight {
		return
	}
	v, ok := st.view()
	if !ok {
		return
	}
	if !w.owes && !w.matters(w.differences(v, !w.sotw)) {
		w.caughtUp(v.now.number)
		w.settle(v.now.number)
		return
	}
	if err := w.put(); err != nil {
		st.cancel(err)
		return
	}
	w.open, w.queued = false, true
}

// build makes the response that was queued, of what is current now: what was
// published meanwhile is in it. take gets the differences and answers with what
// goes out.
func (st *stream) build(w *watch, take func(v view, steps []step) []item) {
	st.mu.Lock()
	defer st.mu.Unlock()
	v, ok := st.view()
	if !ok {
		v.now = &generation{}
	}
	out := &sent{generation: v.now.number, version: v.now.set(w.typeURL).version, at: st.server.now()}
	out.items = take(v, w.differences(v, false))
	w.caughtUp(v.now.number)
	w.queued, w.owes = false, false
	w.flight = append(w.flight, out)
	st.building = out
}

// sending learns the nonce that go-control-plane gave to the response that was
// built last.
func (st *stream) sending(typeURL, nonce string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	out, w := st.building, st.watches[typeURL]
	out.nonce = nonce
	w.status.Version, w.status.Nonce, w.status.Sent = out.version, nonce, out.at
	w.status.Responses++
	st.server.counters.responses.Add(1)
	st.server.events.Pushed(Push{
		Client: st.client(), TypeURL: typeURL, Version: out.version, Nonce: nonce,
		Generation: out.generation, Sent: out.at, Resources: len(out.items),
	})
}

// answer takes what a request says of an earlier response.
func (st *stream) answer(typeURL, nonce string, failure *status.Status) {
	released := st.judge(typeURL, nonce, failure)
	if len(released) == 0 {
		return
	}
	names := make([]string, len(released))
	for i, h := range released {
		names[i] = h.Name
	}
	st.mu.Lock()
	g, a := st.group, st.audience
	st.mu.Unlock()
	g.wake(st, a, typeURL, names)
}

// judge is answer under the lock; what it returns, others like this client went
// without until now.
func (st *stream) judge(typeURL, nonce string, failure *status.Status) (released []*hold) {
	st.mu.Lock()
	defer st.mu.Unlock()
	w := st.watches[typeURL]
	if w == nil {
		return nil
	}
	out := w.answered(nonce)
	if out == nil {
		return nil
	}
	a := Answer{
		Push: Push{Client: st.client(), TypeURL: typeURL, Version: out.version, Nonce: nonce, Generation: out.generation, Sent: out.at, Resources: len(out.items)},
		At:   st.server.now(),
	}
	w.settle(out.generation)
	if failure == nil {
		w.status.Acked, w.status.AckedAt, w.status.Error = out.version, a.At, ""
		st.server.counters.acks.Add(1)
		st.server.events.Acked(a)
		return st.accepted(w, out.items)
	}
	a.Error = clip(failure.GetMessage())
	w.status.Nacked, w.status.NackedAt, w.status.Error = out.version, a.At, a.Error
	w.status.Refusals++
	st.server.counters.nacks.Add(1)
	st.server.events.Nacked(a)
	return st.refused(w, out, failure.GetMessage(), a.At)
}

// accepted records that the client took items. The lock is held.
func (st *stream) accepted(w *watch, items []item) (released []*hold) {
	for _, it := range items {
		if it.entry == nil {
			continue
		}
		if h := st.audience.accept(w.typeURL, it.entry); h != nil {
			st.server.released(h.Quarantine, "node "+st.node.GetId()+" accepted it")
			released = append(released, h)
		}
	}
	return released
}

// refused takes a NACK apart: the resources to blame are not sent again to this
// client, nor to others like it; of the rest, a client that applies the good
// ones of a refused response has them, and any other gets them once more, by
// themselves. The lock is held.
func (st *stream) refused(w *watch, out *sent, message string, at time.Time) (released []*hold) {
	bad := blame(message, out.items)
	stays := true // all of them have something to stay
	for _, r := range bad {
		e := r.item.entry
		w.refuse(e, r.reason, at)
		q, isNew := st.audience.refuse(e, Quarantine{
			TypeURL: w.typeURL, Field: fieldIn(r.reason), Reason: r.reason, Node: st.node.GetId(), Since: at,
		})
		if isNew {
			st.server.quarantined(q)
		}
		stays = stays && st.audience.lastGood(w.typeURL, e) != nil
	}
	again := !st.appliesGood()
	if w.sotw {
		// What was refused must be left out for a clean answer, and what is left
		// out of a response that carries all is removed.
		again = stays || !w.keeps
	}
	for _, it := range out.items {
		isBad := slices.ContainsFunc(bad, func(r refused) bool { return r.item.name == it.name })
		switch {
		case again || isBad && !w.sotw:
			w.takeBack(it)
		case !isBad:
			released = append(released, st.accepted(w, []item{it})...)
		}
	}
	return released
}

// appliesGood reports whether the client is known to apply the good resources
// of a response that it refuses.
func (st *stream) appliesGood() bool { return st.node.GetUserAgentName() == attache }

// close ends the stream's part in its group.
func (st *stream) close() {
	st.cancel(nil)
	st.server.end(st)
	st.mu.Lock()
	st.closed = true
	g := st.group
	for _, w := range st.watches {
		w.open = false
		w.settleAll()
	}
	if g != nil {
		st.server.events.Closed(st.client())
	}
	st.mu.Unlock()
	if g != nil {
		g.leave(st)
	}
}
