package loop

import (
	"net/netip"
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// SetLink sets how connections to an address behave from now on; an address
// that has no Link of its own behaves as the zero address says. In the
// beginning that is a perfect network with 100 µs one way.
func (s *Sim) SetLink(a config.Address, l Link) {
	st := s.site(a)
	st.link, st.own = l, true
	s.eachConn(a, (*socket).spaceAgain)
}

// Refuse makes new connections to an address end in ECONNREFUSED, or ends that.
func (s *Sim) Refuse(a config.Address, on bool) { s.site(a).refused = on }

// Redirect makes a worker's connections to an address come to another, as
// iptables' REDIRECT does: who accepts them can ask where they were going
// (Conn.OriginalDst).
func (s *Sim) Redirect(by *Worker, to, via netip.AddrPort) {
	k := by.k.(*simKernel)
	if k.redirects == nil {
		k.redirects = map[netip.AddrPort]netip.AddrPort{}
	}
	k.redirects[to] = via
}

// Blackhole makes everything between an address and those who dialled it
// vanish, handshakes too. When it ends, what was lost is sent again as TCP
// would, within 200 ms, a SYN within a second.
func (s *Sim) Blackhole(a config.Address, on bool) {
	s.site(a).blackhole = on
	if !on {
		s.each(a, s.heal)
	}
}

func (s *Sim) heal(st *site) {
	if s.hole(st) {
		return
	}
	syns := st.syns
	st.syns = nil
	for _, ev := range syns {
		ev.at = s.now + s.rng.Int64N(int64(time.Second))
		s.push(ev)
	}
	for _, x := range st.conns {
		s.retransmit(x)
		if x.peer != nil && x.peer.closed { // what a closed end has sent is still owed
			s.retransmit(x.peer)
		}
	}
}

func (s *Sim) retransmit(x *socket) {
	if !x.out.held {
		return
	}
	x.out.held = false
	x.plan(s.now + s.rng.Int64N(int64(200*time.Millisecond)))
}

// Stall makes the program at an address hear of nothing: its kernel accepts
// connections and takes bytes until its buffers are full. When it ends the
// program hears of everything.
func (s *Sim) Stall(a config.Address, on bool) {
	s.site(a).stalled = on
	if on {
		return
	}
	s.each(a, func(st *site) {
		for _, b := range st.listeners {
			for _, l := range b.sockets {
				l.notify()
			}
		}
	})
	s.eachConn(a, (*socket).notify)
}

// ResetAll breaks every connection to an address: both ends get a RST at once,
// and what was under way is lost.
func (s *Sim) ResetAll(a config.Address) {
	s.eachConn(a, func(x *socket) {
		if x.peer != nil {
			x.reset()
		}
	})
}

// eachConn calls f for both ends of every connection to an address.
func (s *Sim) eachConn(a config.Address, f func(*socket)) {
	s.each(a, func(st *site) {
		for _, x := range slices.Clone(st.conns) {
			f(x)
		}
	})
}

// Freeze stops a worker as SIGSTOP does, or lets it go on: its kernel still
// accepts and takes bytes.
func (s *Sim) Freeze(w *Worker, on bool) { simOf(w).frozen = on }

// LimitFDs lets w have at most n sockets open; more are answered with EMFILE. 0
// takes the limit away.
func (s *Sim) LimitFDs(w *Worker, n int) { simOf(w).limit = n }

// Kill ends a worker as SIGKILL does: its kernel closes what it had, with a RST
// where bytes were unread; its program does nothing any more (what its
// coroutines defer is unwound without effect). Called from within a turn it
// takes place after it. Another Worker can listen in its place.
func (s *Sim) Kill(w *Worker) {
	k := simOf(w)
	switch {
	case k.dead:
	case s.turning != nil:
		s.push(simEvent{at: s.now, kind: evFunc, f: func() { s.Kill(w) }})
	default:
		for i, x := range k.fds {
			if x != nil {
				k.close(i+firstFD, false)
			}
		}
		k.dead = true
		w.endCoroutines()
		s.forget(k)
	}
}

// end is what Run does after Stop.
func (s *Sim) end(k *simKernel) {
	k.w.closeAll()
	k.dead = true
	s.forget(k)
	s.gone = append(s.gone, k)
}

func (s *Sim) forget(k *simKernel) {
	s.workers = slices.DeleteFunc(s.workers, func(x *simKernel) bool { return x == k })
}

// simOf is the kernel of a worker that a Sim made.
func simOf(w *Worker) *simKernel { return w.k.(*simKernel) }

// Weather sets lag and the Link of all addresses that have none of their own to
// something that the seed chooses, from fine to foul, and returns it.
func (s *Sim) Weather() Link {
	pick := func(of ...int) int { return of[s.rng.IntN(len(of))] }
	l := Link{
		Latency:       time.Duration(pick(0, 20, 100, 1000, 5000)) * time.Microsecond,
		MaxSegment:    pick(0, 0, 1, 3, 17, 1448),
		PartialWrites: s.rng.IntN(2) == 0,
		Buffer:        pick(0, 0, 300, 4096, 65536),
	}
	l.Jitter = l.Latency * time.Duration(pick(0, 0, 1, 3))
	s.SetLink(config.Address{}, l)
	s.SetLag(time.Duration(pick(0, 0, 10, 200)) * time.Microsecond)
	return l
}
