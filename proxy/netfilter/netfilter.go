// Package netfilter is the contract between the listener and the filters that a
// connection passes before the room that serves it (Envoy envoy/network/filter.h).
//
//	accepted ─▶ Greet ─▶ Greet ─▶ TLS ─▶ Secured ─▶ room ─▶ first bytes ─▶ Hear ─▶ Hear ─▶ room reads
//	              │        │                │                                │       │
//	              └────────┴─ closed: that was all ──────────────────────────┴───────┘
//
// A filter is any of Greeter, Securer and Hearer. Its parts run in a coroutine of
// the connection's worker and may wait; the worker goes on with others. They may
// close the connection, and leave what they have learnt in its account: names,
// objects and metadata that the room, its filters and its logs find there.
//
// A room that speaks first, or connects to a host at once, does so before the
// client has said anything: Hear comes when the first bytes do, as in Envoy.
package netfilter

import (
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/transport"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Filter is a filter of a chain, compiled: immutable and shared by all workers, but
// for what it keeps for each worker. It is at least one of Greeter, Securer and
// Hearer.
type Filter any

// Greeter works on a connection that was just accepted, before its TLS handshake
// (onNewConnection).
type Greeter interface {
	// Greet is false if it has closed the connection.
	Greet(c *Conn) bool
}

// Securer works on a connection whose TLS handshake has ended; without TLS it
// comes just after the greetings.
type Securer interface {
	// Secured is false if it has closed the connection.
	Secured(c *Conn) bool
}

// Hearer works on a connection when its first bytes have come, or its end, before
// the room reads them (the first onData).
type Hearer interface {
	// Hear is false if it has closed the connection. Buffered has what came.
	Hear(c *Conn) bool
}

// Counter is a filter that has statistics.
type Counter interface {
	// Stats yields what worker w has counted, under the full names. On w only.
	Stats(w *loop.Worker, yield func(name string, v uint64))
}

// Env is what filters are compiled with.
type Env struct {
	// Workers is how many workers there are: IDs are below it.
	Workers int
	// Cluster gives the living cluster of a name, nil if there is none. Any
	// goroutine.
	Cluster func(name string) *upstream.Cluster
	// Wall is the wall clock.
	Wall func() time.Time
}

// Conn is a connection on its way through a chain.
type Conn struct {
	*loop.Conn
	// Info is what is known of it; the room goes on with the same one.
	Info *streaminfo.Conn
}

// Refuse closes the connection and notes why (CONNECTION_TERMINATION_DETAILS).
func (c *Conn) Refuse(details string) bool {
	c.Info.Termination = details
	c.Close()
	return false
}

// Sleep waits for d; false if the connection was closed meanwhile.
func (c *Conn) Sleep(d time.Duration) bool {
	c.Worker().Sleep(d)
	return !c.Closed()
}

// Room serves connections; it is the listener's.
type Room interface {
	Accept(c *loop.Conn, bufferLimit int)
}

// Chain is the filters of a filter chain in the order in which connections pass
// them. Immutable.
type Chain struct {
	filters  []Filter
	greet    []Greeter
	secured  []Securer
	hear     []Hearer
	counters []Counter
	gone     []Counter // of filters that others have followed; oldest first
	place    *streaminfo.Place
}

// maxGone bounds how many filters that others have followed are asked what they have counted.
const maxGone = 32

// New makes a chain; nil if there are no filters. place is where its connections
// come in.
func New(filters []Filter, place *streaminfo.Place) *Chain {
	if len(filters) == 0 {
		return nil
	}
	c := &Chain{filters: filters, place: place}
	for _, f := range filters {
		if g, ok := f.(Greeter); ok {
			c.greet = append(c.greet, g)
		}
		if s, ok := f.(Securer); ok {
			c.secured = append(c.secured, s)
		}
		if h, ok := f.(Hearer); ok {
			c.hear = append(c.hear, h)
		}
		if n, ok := f.(Counter); ok {
			c.counters = append(c.counters, n)
		}
	}
	return c
}

// Follow makes the chain of other filters that connections pass from now on; some may be those
// of c. Those that are not in it any more go on counting for the connections that have passed
// them, but for the last ones: what they have counted is to be remembered. That is of counters; a
// gauge of theirs is lost, with the connections of theirs that are still open: 32 filters are
// followed before. place is as of New.
func (c *Chain) Follow(filters []Filter, place *streaminfo.Place) (next *Chain, last []Counter) {
	next = New(filters, place)
	if c == nil {
		return next, nil
	}
	if next == nil {
		next = &Chain{place: place}
	}
	next.gone = slices.Clone(c.gone)
	for _, f := range c.filters {
		if n, ok := f.(Counter); ok && !slices.Contains(filters, f) {
			next.gone = append(next.gone, n)
		}
	}
	over := max(0, len(next.gone)-maxGone)
	last, next.gone = next.gone[:over], next.gone[over:]
	return next, last
}

// At is the filter at a place of c; nil if there is none. c may be nil.
func (c *Chain) At(i int) Filter {
	if c == nil || i >= len(c.filters) {
		return nil
	}
	return c.filters[i]
}

// Stats yields what worker w has counted. On w only.
func (c *Chain) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	for _, f := range c.counters {
		f.Stats(w, yield)
	}
	for _, f := range c.gone {
		f.Stats(w, yield)
	}
}

// Greet shows the filters a connection, and calls next unless one of them has
// closed it: at once, or when they have waited. On the connection's worker.
func (c *Chain) Greet(conn *loop.Conn, next func()) {
	known := streaminfo.Known(conn)
	if known == nil {
		known = &streaminfo.Conn{}
		conn.Data = known
	}
	known.Peer, known.Local = conn.Peer(), conn.Local()
	known.SetNamespace(conn.Namespace())
	known.Began, known.Place = conn.Worker().Now(), c.place
	conn.Worker().Go(func() {
		n := &Conn{conn, known}
		for _, f := range c.greet {
			if !f.Greet(n) || conn.Closed() {
				return
			}
		}
		next()
	})
}

// Join gives a connection, whose handshake has ended if it has one, to its room.
// On the connection's worker.
func (c *Chain) Join(conn *loop.Conn, room Room, bufferLimit int) {
	n := &Conn{conn, streaminfo.Known(conn)}
	n.Info.TLS = transport.Of(conn)
	if len(c.secured) == 0 {
		c.enter(n, room, bufferLimit)
		return
	}
	conn.Worker().Go(func() {
		for _, f := range c.secured {
			if !f.Secured(n) || conn.Closed() {
				return
			}
		}
		c.enter(n, room, bufferLimit)
	})
}

func (c *Chain) enter(n *Conn, room Room, bufferLimit int) {
	room.Accept(n.Conn, bufferLimit)
	if len(c.hear) == 0 {
		return
	}
	n.First(func() {
		for _, f := range c.hear {
			if !f.Hear(n) || n.Closed() {
				return
			}
		}
	})
}
