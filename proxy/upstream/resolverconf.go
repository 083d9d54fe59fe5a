package upstream

// A resolver with servers and habits of its own: what a cluster's configuration says
// beside, or instead of, the system's.

import (
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/attache-mesh/attache/proxy/config"
)

// settled is a Resolver that can be told whom to ask.
type settled interface {
	// With gives one that asks as r says. Any goroutine.
	With(r *config.Resolver) Resolver
}

// resolverFor is the resolver of a cluster whose configuration says r; nil: as always.
func resolverFor(base Resolver, r *config.Resolver) Resolver {
	if s, ok := base.(settled); ok && r != nil {
		return s.With(r)
	}
	return base
}

// With is the resolver with other servers.
func (s SystemResolver) With(r *config.Resolver) Resolver {
	s.asked, s.turn = r, new(atomic.Uint32)
	return s
}

// servers are those that are asked, in their order: "127.0.0.1:53".
func (s SystemResolver) servers(conf *dns.ClientConfig) []string {
	var all []string
	if r := s.asked; r != nil && len(r.Servers) > 0 && !(r.Fallback && s.named) {
		for _, at := range r.Servers {
			if at.Port() == 0 {
				at = netip.AddrPortFrom(at.Addr(), 53)
			}
			all = append(all, at.String())
		}
	} else {
		for _, host := range conf.Servers {
			all = append(all, net.JoinHostPort(host, conf.Port))
		}
	}
	if s.asked != nil && s.asked.Rotate && len(all) > 1 {
		n := int(s.turn.Add(1)) % len(all)
		all = slices.Concat(all[n:], all[:n])
	}
	return all
}

// routable leaves out addresses of a family of which no interface but the loopback
// has one (dns_impl.cc, AddrInfoPendingResolution::availableInterfaces). Where the
// interfaces cannot be read all are taken.
func routable(addrs []netip.Addr) []netip.Addr {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return addrs
	}
	var v4, v6 bool
	for _, a := range own {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.IsLoopback() {
			continue
		}
		v4, v6 = v4 || n.IP.To4() != nil, v6 || n.IP.To4() == nil
	}
	return slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return a.Is4() && !v4 || a.Is6() && !v6 })
}

// habits are what the look-up does otherwise than resolv.conf says.
func (s SystemResolver) habits(conf *dns.ClientConfig) (h habits) {
	h = habits{tries: max(conf.Attempts, 1), timeout: time.Duration(max(conf.Timeout, 1)) * time.Second, udp: udpSize}
	if r := s.asked; r != nil {
		h.tries, h.timeout, h.tcp = 4, 5*time.Second, r.TCP
		if r.Tries > 0 {
			h.tries = int(min(r.Tries, maxDNSTries))
		}
		if r.Timeout > 0 {
			h.timeout = r.Timeout
		}
		if r.MaxUDP > 0 {
			h.udp = r.MaxUDP
		}
	}
	h.servers = s.servers(conf)
	return h
}

// maxDNSTries bounds the tries of one look-up, whatever is asked.
const maxDNSTries = 100

// habits is how one look-up asks.
type habits struct {
	servers []string
	tries   int
	timeout time.Duration
	tcp     bool
	udp     uint16
}

func (h *habits) client() *dns.Client {
	c := &dns.Client{Timeout: h.timeout, UDPSize: h.udp}
	if h.tcp {
		c.Net = "tcp"
	}
	return c
}
