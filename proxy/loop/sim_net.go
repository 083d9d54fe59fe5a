package loop

import (
	"net/netip"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// The simulated network and what can go wrong in it. Everything is said of the
// address that is dialled and holds for connections that stand already as well;
// the zero address is every address.

// Link is how the connections to an address behave. The zero Link is a perfect
// network without delay.
type Link struct {
	Latency time.Duration // one way
	Jitter  time.Duration // up to this much more, for each segment
	// MaxSegment cuts what is written into segments of 1 to MaxSegment bytes
	// that come one after the other: 1 is byte by byte; 0: no cuts.
	MaxSegment int
	// PartialWrites lets writes take only a part, or nothing, as if the buffer
	// were full.
	PartialWrites bool
	Bandwidth     int // bytes a second; 0: no limit
	// Buffer is the size in bytes of each socket's send and receive buffer; 0
	// is 256 KiB. A writer whose peer does not read stops at both together.
	Buffer int
}

func (l *Link) buffer() int {
	if l.Buffer <= 0 {
		return 256 << 10
	}
	return l.Buffer
}

// site is an address that somebody listens on or dials.
type site struct {
	addr      config.Address
	link      Link
	own       bool // link is its own, not that of all
	refused   bool
	blackhole bool
	stalled   bool
	listeners []*backlog
	conns     []*socket // both ends of connections
	syns      []simEvent
}

// plain leaves of an address what tells it from others.
func plain(a config.Address) config.Address {
	return config.Address{IP: netip.AddrPortFrom(a.IP.Addr().Unmap(), a.IP.Port()), Path: a.Path, Namespace: a.Namespace}
}

// site finds or makes the place of an address.
func (s *Sim) site(a config.Address) *site {
	a = plain(a)
	if a.IsZero() {
		return s.all
	}
	st := s.sites[a]
	if st == nil {
		st = &site{addr: a}
		s.sites[a] = st
		s.order = append(s.order, st)
	}
	return st
}

// each calls f for the address, or for every address that was heard of.
func (s *Sim) each(a config.Address, f func(*site)) {
	if st := s.site(a); st != s.all {
		f(st)
		return
	}
	for _, st := range s.order {
		f(st)
	}
}

func (st *site) add(x *socket) {
	x.index = len(st.conns)
	st.conns = append(st.conns, x)
}

func (st *site) remove(x *socket) {
	last := len(st.conns) - 1
	st.conns[x.index] = st.conns[last]
	st.conns[x.index].index = x.index
	st.conns[last] = nil
	st.conns = st.conns[:last]
}

func (s *Sim) hole(st *site) bool { return st.blackhole || s.all.blackhole }

// listener chooses among those who listen: on the address, else on all
// addresses.
func (st *site) listener(s *Sim) *backlog {
	ls := st.listeners
	if len(ls) == 0 && st.addr.Path == "" {
		ls = s.wildcard(st.addr)
	}
	if len(ls) == 0 {
		return nil
	}
	return ls[s.rng.IntN(len(ls))]
}

func (s *Sim) wildcard(to config.Address) []*backlog {
	for _, any := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		if any.Is4() && !to.IP.Addr().Is4() {
			continue
		}
		if st := s.sites[config.Address{IP: netip.AddrPortFrom(any, to.IP.Port()), Namespace: to.Namespace}]; st != nil && len(st.listeners) > 0 {
			return st.listeners
		}
	}
	return nil
}

// deaf reports whether a SYN to st is answered with a RST.
func (s *Sim) deaf(st *site) bool {
	if s.hole(st) {
		return false
	}
	return st.refused || s.all.refused ||
		len(st.listeners) == 0 && (st.addr.Path != "" || len(s.wildcard(st.addr)) == 0)
}

func (s *Sim) freePort(ip netip.Addr) uint16 {
	for {
		s.nextPort++
		if st := s.sites[config.Address{IP: netip.AddrPortFrom(ip, s.nextPort)}]; st == nil || len(st.listeners) == 0 {
			return s.nextPort
		}
	}
}

func (s *Sim) localPort() uint16 {
	if s.nextLocal++; s.nextLocal >= 61000 {
		s.nextLocal = 32768
	}
	return s.nextLocal
}

// handshake is the arrival of a SYN or of its answer.
func (s *Sim) handshake(ev simEvent) {
	x := ev.sock
	if s.hole(x.site) {
		x.site.syns = append(x.site.syns, ev)
		return
	}
	switch {
	case x.closed || !x.connecting:
	case ev.kind == evSyn:
		s.syn(x)
	case ev.kind == evRefused:
		x.reset()
	default:
		x.connecting = false
		x.notify()
	}
}

// syn is a SYN's arrival: the connection stands, is refused, or, the accept
// queue being full, the SYN is dropped and comes again (tcp_syn_retries).
func (s *Sim) syn(x *socket) {
	b := x.site.listener(s)
	switch {
	case b == nil || x.site.refused || s.all.refused:
		s.push(simEvent{at: s.now + x.delay(), kind: evRefused, sock: x})
		return
	case b.fullUp():
		x.patience = max(2*x.patience, int64(time.Second))
		s.push(simEvent{at: s.now + x.patience, kind: evSyn, sock: x})
		return
	}
	b.add(x)
	x.peer.out.last = s.now + x.delay() // no byte overtakes the SYN-ACK
	s.push(simEvent{at: x.peer.out.last, kind: evEstablished, sock: x})
}
