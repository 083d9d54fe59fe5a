package listener

import (
	"net/netip"
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
)

func prefixes(s ...string) (p []netip.Prefix) {
	for _, x := range s {
		p = append(p, netip.MustParsePrefix(x))
	}
	return p
}

// The rules of Envoy's FilterChainMatch: criterion by criterion, the most
// specific value wins, and a chain that loses at one does not come back.
func TestChainChoice(t *testing.T) {
	match := map[string]config.ChainMatch{
		"any":         {},
		"port 80":     {DestinationPort: 80},
		"80 local":    {DestinationPort: 80, SourceType: config.SourceSameIPOrLoopback},
		"10/8":        {SourcePrefixes: prefixes("10.0.0.0/8")},
		"10.1/16":     {SourcePrefixes: prefixes("10.1.0.0/16")},
		"dst 10.9/16": {DestinationPrefixes: prefixes("10.9.0.0/16")},
		"from 7777":   {SourcePorts: []uint32{7777}},
		"direct 10.2": {DirectSourcePrefixes: prefixes("10.2.0.0/16")},
		"external":    {SourceType: config.SourceExternal},
	}
	for _, c := range []struct {
		chains   []string
		dst, src string
		want     string
	}{
		{[]string{"any"}, "127.0.0.1:1", "127.0.0.1:2", "any"},
		{[]string{"any", "port 80"}, "127.0.0.1:80", "127.0.0.1:2", "port 80"},
		{[]string{"any", "port 80"}, "127.0.0.1:81", "127.0.0.1:2", "any"},
		{[]string{"port 80"}, "127.0.0.1:81", "127.0.0.1:2", ""},
		// No going back: port 80 is the more specific, and then its source type does not fit.
		{[]string{"any", "80 local"}, "10.0.0.1:80", "10.0.0.2:5", ""},
		{[]string{"port 80", "80 local"}, "127.0.0.1:80", "127.0.0.1:5", "80 local"},
		{[]string{"any", "10/8", "10.1/16"}, "127.0.0.1:80", "10.1.2.3:5", "10.1/16"},
		{[]string{"any", "10/8", "10.1/16"}, "127.0.0.1:80", "10.2.2.3:5", "10/8"},
		{[]string{"any", "10/8", "10.1/16"}, "127.0.0.1:80", "192.168.2.3:5", "any"},
		{[]string{"dst 10.9/16", "from 7777"}, "10.9.0.1:80", "10.2.2.3:7777", "dst 10.9/16"},
		{[]string{"any", "from 7777"}, "10.9.0.1:80", "10.2.2.3:7777", "from 7777"},
		{[]string{"direct 10.2", "10/8"}, "10.9.0.1:80", "10.2.2.3:7777", "direct 10.2"},
		{[]string{"external"}, "10.9.0.1:80", "10.9.0.1:7777", ""},
		{[]string{"external"}, "10.9.0.1:80", "10.9.0.2:7777", "external"},
	} {
		p := &Plan{}
		for _, name := range c.chains {
			p.Chains = append(p.Chains, Chain{Match: match[name]})
		}
		got := ""
		chosen := p.choose(&origin{destination: netip.MustParseAddrPort(c.dst), source: netip.MustParseAddrPort(c.src), direct: netip.MustParseAddrPort(c.src)})
		for i, name := range c.chains {
			if chosen == &p.Chains[i] {
				got = name
			}
		}
		if got != c.want {
			t.Errorf("chains %v, %s from %s: %q, want %q", c.chains, c.dst, c.src, got, c.want)
		}
	}
}
