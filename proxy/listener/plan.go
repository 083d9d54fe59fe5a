package listener

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/match/tree"
	"github.com/attache-mesh/attache/proxy/netfilter"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/transport"
)

// Plan says which chain a connection belongs to. Immutable.
type Plan struct {
	Chains []Chain
	// Tree, unless it is nil, chooses among Chains by index, not their Match.
	Tree *tree.Tree
	// Default takes what no chain matched; nil: such connections are closed.
	Default     *Chain
	BufferLimit int
	Inspect     Inspect
	// Unconfigured: a listener filter has no configuration, and connections are closed.
	Unconfigured bool
	// OriginalDst asks the kernel where a redirected connection was going
	// (envoy.filters.listener.original_dst).
	OriginalDst bool
	// HandOff finds the listener that serves what was redirected; nil: this one does
	// (use_original_dst).
	HandOff *Directory
	// Logs have an entry for each connection; nil: none.
	Logs *Logs
}

// Chain is a filter chain with its room.
type Chain struct {
	Match config.ChainMatch
	Room  Room
	// Filters are passed before the room; nil: none.
	Filters *netfilter.Chain
	// TLS is nil for plaintext. HandshakeTimeout is as of Server.Accept.
	TLS              *transport.Server
	HandshakeTimeout time.Duration
	// Unconfigured: a filter has no configuration, and connections are closed.
	Unconfigured bool
}

// origin is what a connection says of itself, asked for once.
type origin struct {
	destination, source, direct netip.AddrPort
	tls                         bool // it begins with a ClientHello
	name                        string
	protocols                   []string
	namespace                   string
	known                       *streaminfo.Conn // nil: nothing was noted
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
	func(m *config.ChainMatch, o *origin) int { return nameScore(m.ServerNames, o.name) },
	func(m *config.ChainMatch, o *origin) int { return transportScore(m.TransportProtocol, o.tls) },
	func(m *config.ChainMatch, o *origin) int { return protocolScore(m.ApplicationProtocols, o.protocols) },
	func(m *config.ChainMatch, o *origin) int {
		return prefixScore(m.DirectSourcePrefixes, o.direct.Addr())
	},
	func(m *config.ChainMatch, o *origin) int { return typeScore(m.SourceType, o) },
	func(m *config.ChainMatch, o *origin) int { return prefixScore(m.SourcePrefixes, o.source.Addr()) },
	func(m *config.ChainMatch, o *origin) int { return portsScore(m.SourcePorts, o.source.Port()) },
}

// match chooses a connection's chain. One chain that takes everything, the
// usual plan, costs nothing.
func (p *Plan) match(c *loop.Conn) *Chain {
	if len(p.Chains) == 1 && p.Tree == nil && catchAll(&p.Chains[0].Match) {
		return &p.Chains[0]
	}
	return p.choose(&origin{destination: c.Local(), source: c.Peer(), direct: c.Peer(), namespace: c.Namespace()})
}

func (p *Plan) choose(o *origin) *Chain {
	if p.Tree != nil {
		return p.follow(o)
	}
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

// follow asks the tree (FilterChainManagerImpl::findFilterChainUsingMatcher).
func (p *Plan) follow(o *origin) *Chain {
	c := streaminfo.Conn{Peer: o.source, Local: o.destination, ServerName: o.name}
	c.SetDirect(o.direct)
	c.SetNamespace(o.namespace)
	info := streaminfo.Info{Conn: &c}
	if o.known != nil {
		c.State, info.Metadata = o.known.State, o.known.Metadata
	}
	f := tree.Facts{View: streaminfo.View{Info: &info}, Transport: "raw_buffer", Protocols: o.protocols}
	if o.tls {
		f.Transport = "tls"
	}
	switch i, v := p.Tree.Match(&f); {
	case v != tree.Found:
		return p.Default
	case i != config.NoChain:
		return &p.Chains[i]
	}
	return nil
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
		len(m.ServerNames) == 0 && m.TransportProtocol == "" && len(m.ApplicationProtocols) == 0 &&
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

// nameScore: the whole name is best, then the longest wildcard that takes it; a
// chain without names takes every connection.
func nameScore(names []string, sni string) int {
	if len(names) == 0 {
		return 0
	}
	best := -1
	for _, name := range names {
		suffix, wildcard := strings.CutPrefix(name, "*")
		switch {
		case !wildcard && name == sni && sni != "":
			return exactName
		case wildcard && len(sni) > len(suffix) && strings.HasSuffix(sni, suffix):
			best = max(best, len(suffix))
		}
	}
	return best
}

// exactName is more than the length of any name.
const exactName = 1 << 16

func transportScore(want string, tls bool) int {
	switch {
	case want == "":
		return 0
	case want == "tls" && tls, want == "raw_buffer" && !tls:
		return 1
	}
	return -1
}

// protocolScore: what the client offers first counts most.
func protocolScore(want, offered []string) int {
	if len(want) == 0 {
		return 0
	}
	for i, p := range offered {
		if slices.Contains(want, p) {
			return len(offered) - i
		}
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
