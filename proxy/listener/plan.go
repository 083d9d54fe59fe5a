package listener

import (
	"net/netip"
	"slices"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Plan says which chain a connection belongs to. Immutable.
type Plan struct {
	Chains []Chain
	// Default takes what no chain matched; nil: such connections are closed.
	Default     *Chain
	BufferLimit int
}

// Chain is a filter chain with its room.
type Chain struct {
	Match config.ChainMatch
	Room  Room
}

// origin is what a connection says of itself, asked for once.
type origin struct {
	destination, source netip.AddrPort
}

// step scores a chain on one criterion: negative if it does not match, 0 if it
// does not care, more the more specific it is.
type step func(m *config.ChainMatch, o *origin) int

// steps in the order of Envoy's FilterChainMatch; at each the most specific
// chains stay and there is no going back.
var steps = [...]step{
	func(m *config.ChainMatch, o *origin) int { return portScore(m.DestinationPort, o.destination.Port()) },
	func(m *config.ChainMatch, o *origin) int {
		return prefixScore(m.DestinationPrefixes, o.destination.Addr())
	},
	func(m *config.ChainMatch, o *origin) int {
		return prefixScore(m.DirectSourcePrefixes, o.source.Addr())
	},
	func(m *config.ChainMatch, o *origin) int { return typeScore(m.SourceType, o) },
	func(m *config.ChainMatch, o *origin) int { return prefixScore(m.SourcePrefixes, o.source.Addr()) },
	func(m *config.ChainMatch, o *origin) int { return portsScore(m.SourcePorts, o.source.Port()) },
}

// match chooses a connection's chain. One chain that takes everything, the
// usual plan, costs nothing.
func (p *Plan) match(c *loop.Conn) *Chain {
	if len(p.Chains) == 1 && catchAll(&p.Chains[0].Match) {
		return &p.Chains[0]
	}
	return p.choose(&origin{destination: c.Local(), source: c.Peer()})
}

func (p *Plan) choose(o *origin) *Chain {
	left := make([]*Chain, 0, len(p.Chains))
	for i := range p.Chains {
		left = append(left, &p.Chains[i])
	}
	for _, score := range steps {
		left = mostSpecific(left, score, o)
	}
	if len(left) == 0 {
		return p.Default
	}
	return left[0]
}

func mostSpecific(chains []*Chain, score step, o *origin) []*Chain {
	best, keep := 0, chains[:0]
	for _, c := range chains {
		switch s := score(&c.Match, o); {
		case s < best:
		case s == best:
			keep = append(keep, c)
		default:
			best, keep = s, append(keep[:0], c)
		}
	}
	return keep
}

func catchAll(m *config.ChainMatch) bool {
	return m.DestinationPort == 0 && len(m.DestinationPrefixes) == 0 && len(m.DirectSourcePrefixes) == 0 &&
		m.SourceType == config.SourceAny && len(m.SourcePrefixes) == 0 && len(m.SourcePorts) == 0
}

func portScore(want uint32, port uint16) int {
	switch {
	case want == 0:
		return 0
	case want == uint32(port):
		return 1
	}
	return -1
}

func portsScore(want []uint32, port uint16) int {
	switch {
	case len(want) == 0:
		return 0
	case slices.Contains(want, uint32(port)):
		return 1
	}
	return -1
}

// prefixScore is one more than the length of the longest prefix that holds ip.
func prefixScore(prefixes []netip.Prefix, ip netip.Addr) int {
	if len(prefixes) == 0 {
		return 0
	}
	best := -1
	for _, p := range prefixes {
		if p.Contains(ip) {
			best = max(best, p.Bits()+1)
		}
	}
	return best
}

// typeScore: local means the peer is on loopback or has the address that it
// connected to (Envoy Network::Utility::isSameIpOrLoopback).
func typeScore(want config.SourceType, o *origin) int {
	if want == config.SourceAny {
		return 0
	}
	ip := o.source.Addr()
	local := !ip.IsValid() || ip.IsLoopback() || ip == o.destination.Addr()
	if local == (want == config.SourceSameIPOrLoopback) {
		return 1
	}
	return -1
}
