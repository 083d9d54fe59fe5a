package listener

// Which listener serves a redirected connection (use_original_dst; Envoy
// active_tcp_socket.cc, newConnection, and connection_handler_impl.cc,
// getBalancedHandlerByAddress).

import (
	"net/netip"
	"sync/atomic"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Directory finds listeners by where they are described to be, bound or not. Any
// goroutine.
type Directory struct {
	by atomic.Pointer[map[place]*Listener]
}

// place is an address in a network namespace: what was redirected in one was meant for
// a listener in it (Envoy's map has the addresses alone).
type place struct {
	namespace string
	at        netip.AddrPort
}

// Set makes these all that it knows. Of two at one address the first counts.
func (d *Directory) Set(all []*Listener) {
	by := map[place]*Listener{}
	for _, l := range all {
		for _, a := range l.addrs {
			if at := (place{a.Namespace, plainly(a.IP)}); a.Path == "" && by[at] == nil {
				by[at] = l
			}
		}
	}
	d.by.Store(&by)
}

// find gives the listener of an address in a namespace, else that of all addresses with
// the port; nil if there is neither.
func (d *Directory) find(namespace string, at netip.AddrPort) *Listener {
	by := d.by.Load()
	if by == nil {
		return nil
	}
	at = plainly(at)
	if l := (*by)[place{namespace, at}]; l != nil {
		return l
	}
	if at.Addr().Is4() {
		if l := (*by)[place{namespace, netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port())}]; l != nil {
			return l
		}
	}
	return (*by)[place{namespace, netip.AddrPortFrom(netip.IPv6Unspecified(), at.Port())}]
}

func plainly(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// handOff gives a connection to the listener that it was meant for, which does not
// give it on. False: there is none, or nobody has said where it was going.
func (p *Plan) handOff(c *loop.Conn) bool {
	at := c.Restored()
	if !at.IsValid() {
		return false
	}
	to := p.HandOff.find(c.Namespace(), at)
	if to == nil {
		return false
	}
	to.take(to.local[c.Worker().ID], to.plan.Load(), c, true)
	return true
}

// at is where a listener that is not bound says that it is.
func at(asked *config.Listener) []config.Address {
	return append([]config.Address{asked.Address}, asked.Additional...)
}
