// Package listener is the front door: it accepts connections on every worker,
// chooses the filter chain of each and hands it to the chain's room.
//
//	accept ─▶ plan (one load) ─▶ inspect ─▶ match ─▶ filters ─▶ TLS handshake ─▶ filters ─▶ Room.Accept
//	                              if asked    │      if there are   if the chain has it
//	                                          └─ no chain: close, counted
//
// The plan is immutable and swapped whole: a connection keeps the chain that it
// was accepted under.
package listener

import (
	"fmt"
	"sync/atomic"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Room serves the connections of one filter chain.
type Room interface {
	// Accept takes a new connection on its worker and sets its handler;
	// bufferLimit is in bytes and direction.
	Accept(c *loop.Conn, bufferLimit int)
}

// Listener is one living listener. Its exported methods are for any goroutine.
type Listener struct {
	// Name is set once.
	Name      string
	workers   []*loop.Worker
	plan      atomic.Pointer[Plan]
	local     []*Local // by worker ID; each is its worker's
	shared    []*loop.SharedSocket
	oneSocket bool             // for all workers, at each address
	asked     []config.Address // where it was to listen
	addrs     []config.Address
}

// Local is a listener as one worker has it. Worker only.
type Local struct {
	sockets   []*loop.Listener
	Count     Counters
	Inspected InspectCounters
}

// Counters are what one worker counted of a listener (Envoy listener.<address>).
type Counters struct {
	CxTotal, NoChain, AcceptPaused uint64
	// Unconfigured and ChainUnconfigured were closed because a listener filter, or a filter
	// of their chain, has no configuration.
	Unconfigured, ChainUnconfigured uint64
}

// Open listens on every worker, with the sockets of the process before where there
// are some. Either all sockets stand afterwards or, with an error that names the
// address, none. The workers must be running. Any goroutine.
func Open(asked *config.Listener, plan *Plan, workers []*loop.Worker, before *Inherited) (*Listener, error) {
	l := &Listener{Name: asked.Name, workers: workers, oneSocket: asked.OneSocket}
	for range workers {
		l.local = append(l.local, &Local{})
	}
	l.plan.Store(plan)
	if !asked.BindToPort {
		l.addrs = at(asked)
		return l, nil
	}
	l.asked = at(asked)
	for i, a := range l.asked {
		at, err := l.open(a, optionsAt(asked, i, before), before.take(key(l.Name, i, a), a.Namespace))
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("listen: %w", err)
		}
		l.addrs = append(l.addrs, at)
	}
	return l, nil
}

// open listens on one address: the first worker's socket settles the port.
func (l *Listener) open(a config.Address, o loop.ListenOptions, inherited []int) (config.Address, error) {
	if a.Inside != "" {
		l.openInside(a.Inside)
		return a, nil
	}
	var served map[int]bool // by worker
	var err error
	switch {
	case o.Shared != nil:
		l.shared = append(l.shared, o.Shared)
		if len(inherited) == 0 && a.Path == "" && !o.Replace {
			err = l.workers[0].CheckFree(a)
		}
		if len(inherited) > 0 {
			err = o.Shared.Inherit(inherited[0], a, o)
			closeAll(inherited[1:])
		}
	case len(inherited) > 0:
		a, served, err = l.inherit(inherited, a, o)
	case !o.Replace:
		err = l.workers[0].CheckFree(a)
	}
	if err != nil {
		return a, err
	}
	for _, w := range l.workers {
		if served[w.ID] {
			continue
		}
		do(w, func() {
			var s *loop.Listener
			local := l.local[w.ID]
			s, err = w.Listen(a, o, func(c *loop.Conn) { l.accepted(local, c) })
			if err == nil {
				local.sockets = append(local.sockets, s)
				a = s.Addr()
			}
		})
		if err != nil {
			return a, err
		}
	}
	return a, nil
}

// optionsAt is what the sockets at the ith address have: 0 is the listener's own, those
// behind it are the additional ones.
func optionsAt(asked *config.Listener, i int, before *Inherited) loop.ListenOptions {
	s, a := asked.Socket, asked.Address
	if i > 0 {
		a = asked.Additional[i-1]
	}
	if i > 0 && i <= len(asked.AdditionalSockets) {
		s = asked.AdditionalSockets[i-1]
	}
	o := loop.ListenOptions{
		Backlog: asked.Backlog, Socket: s, Freebind: asked.Freebind, Multipath: asked.Multipath,
		AcceptsPerTurn: int(asked.AcceptsPerTurn), Replace: before != nil && before.Share,
	}
	if a.Path != "" || asked.OneSocket {
		o.Shared = &loop.SharedSocket{}
	}
	return o
}

// openInside listens for what the workers themselves dial by name.
func (l *Listener) openInside(name string) {
	for _, w := range l.workers {
		local := l.local[w.ID]
		do(w, func() {
			local.sockets = append(local.sockets, w.ListenInside(name, func(c *loop.Conn) { l.accepted(local, c) }))
		})
	}
}

// do runs f on a worker and waits for it.
func do(w *loop.Worker, f func()) {
	done := make(chan struct{})
	w.Post(func() {
		defer close(done)
		f()
	})
	<-done
}

func (l *Listener) accepted(local *Local, c *loop.Conn) {
	l.take(local, l.plan.Load(), c, false)
}

// take looks at a connection, if its plan says so, and serves it. One that was
// handed on is not handed on again.
func (l *Listener) take(local *Local, plan *Plan, c *loop.Conn, handed bool) {
	local.Count.CxTotal++
	if plan.Logs != nil {
		plan.Logs.note(c)
	}
	if plan.Unconfigured {
		local.Count.Unconfigured++
		c.Close()
		return
	}
	if !plan.Inspect.takes(c, false) {
		return
	}
	if plan.OriginalDst {
		if at := c.OriginalDst(); at.IsValid() {
			c.Restore(at)
		}
	}
	if plan.Inspect.looks() {
		l.inspect(local, plan, c, handed)
		return
	}
	if handed || plan.HandOff == nil || !plan.handOff(c) {
		l.serve(local, plan, plan.match(c), c)
	}
}

// serve hands a connection to its chain, which is nil if there is none for it.
func (l *Listener) serve(local *Local, plan *Plan, chain *Chain, c *loop.Conn) {
	switch {
	case chain == nil:
		local.Count.NoChain++
		unmatched(c)
		c.Close()
	case chain.Unconfigured:
		local.Count.ChainUnconfigured++
		c.Close()
	case chain.Filters != nil:
		chain.Filters.Greet(c, func() { chain.secure(c, plan.BufferLimit) })
	default:
		chain.secure(c, plan.BufferLimit)
	}
}

// secure agrees on keys, if the chain wants that, and hands the connection on.
func (chain *Chain) secure(c *loop.Conn, limit int) {
	if chain.TLS != nil {
		chain.TLS.Accept(c, chain.HandshakeTimeout, &secured{chain, limit})
		return
	}
	chain.enter(c, limit)
}

func (chain *Chain) enter(c *loop.Conn, limit int) {
	if chain.Filters != nil {
		chain.Filters.Join(c, chain.Room, limit)
		return
	}
	chain.Room.Accept(c, limit)
}

// secured is what comes after a handshake.
type secured struct {
	chain *Chain
	limit int
}

func (s *secured) Secured(c *loop.Conn) { s.chain.enter(c, s.limit) }

// Replace makes new connections follow plan; those that stand keep theirs.
func (l *Listener) Replace(plan *Plan) { l.plan.Store(plan) }

// Plan is what new connections follow.
func (l *Listener) Plan() *Plan { return l.plan.Load() }

// Addrs is where it listens, with the ports that the kernel chose.
func (l *Listener) Addrs() []config.Address { return l.addrs }

// On gives the listener as a worker has it. Worker only.
func (l *Listener) On(w *loop.Worker) *Local { return l.local[w.ID] }

// Counters gives what was counted. Worker only.
func (l *Local) Counters() Counters {
	c := l.Count
	for _, s := range l.sockets {
		c.AcceptPaused += s.Paused
	}
	return c
}

// Close stops accepting; connections that stand go on.
func (l *Listener) Close() {
	for _, w := range l.workers {
		do(w, func() {
			for _, s := range l.local[w.ID].sockets {
				s.Close()
			}
			l.local[w.ID].sockets = nil
		})
	}
	for _, s := range l.shared {
		s.Close()
	}
}
