package server

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// group is alike clients: one bundle at a time, and the streams that get it.
type group struct {
	server *Server
	name   string
	// current is replaced before any stream is told, so that one which looks
	// for itself is never behind.
	current atomic.Pointer[generation]

	mu        sync.Mutex
	streams   map[*stream]struct{}
	audiences map[string]*audience
}

// publish makes b what the group's clients get. Streams that have nothing of
// what changed are passed by.
func (g *group) publish(b *Bundle) (number uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.current.Load()
	now, diff := old.next(b, g.server.library.borrow)
	if now == old {
		return now.number
	}
	g.current.Store(now)
	g.giveBack(old, diff)
	for _, client := range slices.Sorted(maps.Keys(g.audiences)) {
		for _, h := range g.audiences[client].follow(now, diff.names) {
			g.server.released(h.Quarantine, "its content changed")
		}
	}
	s := &settlement{server: g.server, Settled: Settled{Group: g.name, Generation: now.number, Published: g.server.now()}}
	s.waiting.Store(1)
	types := slices.SortedFunc(maps.Keys(diff.names), byRank)
	for st := range g.streams {
		st.published(types, old == nil, s)
	}
	s.done()
	return now.number
}

// giveBack returns what old had and the next generation does not.
func (g *group) giveBack(old *generation, diff change) {
	if old == nil {
		return
	}
	for typeURL, names := range diff.names {
		for _, name := range names {
			if e := old.set(typeURL).byName[name]; e != nil {
				g.server.library.giveBack(e)
			}
		}
	}
}

// published looks for what the stream lacks of the types that changed; all of
// them when the generation is the first.
func (st *stream) published(types []string, first bool, s *settlement) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if first {
		types = slices.SortedFunc(maps.Keys(st.watches), byRank)
	}
	for _, typeURL := range types {
		if w := st.watches[typeURL]; w != nil {
			w.owe(s)
			st.review(w)
		}
	}
}

// join makes the stream one of the group's; it may come from another.
func (g *group) join(st *stream, node *core.Node) {
	g.mu.Lock()
	defer g.mu.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return
	}
	g.streams[st] = struct{}{}
	moved := st.group != nil
	st.node, st.group, st.audience = node, g, g.audience(programOf(node))
	if !moved {
		g.server.events.Opened(st.client())
		return
	}
	for _, typeURL := range slices.SortedFunc(maps.Keys(st.watches), byRank) {
		w := st.watches[typeURL]
		w.all = true
		w.settleAll() // publishes of the other group
		st.review(w)
	}
}

// leave ends the stream's part in the group.
func (g *group) leave(st *stream) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.streams, st)
}

// audience of a program and version. The lock is held.
func (g *group) audience(client string) *audience {
	if a := g.audiences[client]; a != nil {
		return a
	}
	if len(g.audiences) >= maxAudiences {
		client = "other"
		if a := g.audiences[client]; a != nil {
			return a
		}
	}
	a := newAudience(g.name, client)
	g.audiences[client] = a
	return a
}

// wake lets the streams of an audience, but for one, look at names again.
func (g *group) wake(but *stream, of *audience, typeURL string, names []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for st := range g.streams {
		if st != but && st.audience == of {
			st.again(typeURL, names)
		}
	}
}

func (st *stream) again(typeURL string, names []string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if w := st.watches[typeURL]; w != nil {
		w.recheck = append(w.recheck, names...)
		st.review(w)
	}
}
