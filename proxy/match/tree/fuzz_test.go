package tree

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
)

// FuzzTree grows a tree out of bytes and searches it with values out of others; the answer is that of plain, which
// compiles nothing.
func FuzzTree(f *testing.F) {
	f.Add([]byte("\x01\x02\x03\x04\x05\x06\x07\x08\x09"), "a", "b", "10.0.0.1")
	f.Add([]byte("\x03\x05a\x01b\x02ab\x03\x00\x01\x04\x02"), "ab", "", "abc")
	f.Add([]byte("\x04\x03\x0a\x08\x01\x0a\x10\x00\x02\x05\x03"), "10.10.0.1", "x", "::1")
	f.Fuzz(func(t *testing.T, seed []byte, x, y, z string) {
		g := &grower{bytes: seed}
		m := g.matcher(0)
		facts := request("/", "x", x, "y", y, "z", z)
		if len(x)%3 == 0 {
			facts.Request.Headers = facts.Request.Headers[1:]
		}
		action, v := New(m).Match(facts)
		wantAction, want := plain(m, facts)
		if v != want || v == Found && action != wantAction {
			t.Errorf("%+v: %d (verdict %d), want %d (verdict %d)", m, action, v, wantAction, want)
		}
	})
}

// grower makes a tree of bytes.
type grower struct{ bytes []byte }

func (g *grower) next(n int) int {
	if len(g.bytes) == 0 {
		return 0
	}
	b := g.bytes[0]
	g.bytes = g.bytes[1:]
	return int(b) % n
}

func (g *grower) input() config.MatchInput {
	switch g.next(5) {
	case 0:
		return config.MatchInput{Kind: config.InputStatus} // not there yet
	case 1:
		return header("x")
	case 2:
		return header("y")
	}
	return header("z")
}

func (g *grower) word() string {
	var b strings.Builder
	for range g.next(4) {
		b.WriteByte("ab.*"[g.next(3)])
	}
	return b.String()
}

func (g *grower) then(depth int) config.OnMatch {
	o := config.OnMatch{Action: g.next(200), Keep: g.next(4) == 0}
	if depth < 5 && g.next(3) == 0 {
		o.Matcher = g.matcher(depth + 1)
	}
	return o
}

func (g *grower) predicate(depth int) config.Predicate {
	p := config.Predicate{Kind: config.PredicateKind(g.next(4)), Input: g.input()}
	if depth >= 4 {
		p.Kind = config.PredicateSingle
	}
	switch p.Kind {
	case config.PredicateAnd, config.PredicateOr:
		for range g.next(3) {
			p.Of = append(p.Of, g.predicate(depth+1))
		}
	case config.PredicateNot:
		p.Of = []config.Predicate{g.predicate(depth + 1)}
	case config.PredicateSingle:
		p.Test.String = config.StringMatch{Kind: config.StringKind(g.next(4)), Value: g.word(), IgnoreCase: g.next(2) == 0}
	}
	return p
}

func (g *grower) matcher(depth int) *config.Matcher {
	m := &config.Matcher{Kind: config.MatcherKind(g.next(6)), Input: g.input()}
	n := g.next(6)
	seen := map[string]bool{}
	for range n {
		switch m.Kind {
		case config.MatchInOrder:
			m.List = append(m.List, config.FieldMatch{If: g.predicate(0), Then: g.then(depth)})
		case config.MatchExact, config.MatchLongestPrefix, config.MatchDomain:
			w := g.word()
			if seen[w] || m.Kind == config.MatchDomain && w == "" {
				continue
			}
			seen[w] = true
			if m.Kind == config.MatchDomain {
				domain := []string{w, "*." + w, "*"}[g.next(3)]
				if seen["#"+domain] {
					continue
				}
				seen["#"+domain] = true
				m.Domains = append(m.Domains, config.MatchDomains{Domains: []string{domain}, Then: g.then(depth)})
				continue
			}
			m.Map = append(m.Map, config.MatchEntry{Key: w, Then: g.then(depth)})
		case config.MatchIP:
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(g.next(3)), 0, byte(g.next(3))}), []int{0, 8, 16, 24, 32}[g.next(5)])
			m.Ranges = append(m.Ranges, config.MatchRanges{Ranges: []netip.Prefix{p}, Exclusive: g.next(2) == 0, Then: g.then(depth)})
		case config.MatchAny:
		}
	}
	if g.next(2) == 0 {
		other := g.then(depth)
		m.Else = &other
	}
	return m
}

// plain searches a tree as its text reads.
func plain(m *config.Matcher, f *Facts) (int, Verdict) {
	var tries []*config.OnMatch
	value, known := "", there
	if m.Kind >= config.MatchExact {
		value, known = plainValue(m, f)
	}
	switch {
	case known == notYet:
		return 0, Unknown
	case m.Kind == config.MatchInOrder:
		for i := range m.List {
			switch plainHolds(&m.List[i].If, f) {
			case Unknown:
				tries = append(tries, nil)
			case Found:
				tries = append(tries, &m.List[i].Then)
			case None:
			}
		}
	case known == there:
		tries = candidates(m, value)
	}
	for i, o := range append(tries, m.Else) {
		if o == nil && i < len(tries) {
			return 0, Unknown
		}
		if o == nil {
			continue
		}
		if action, v := plainEnd(o, f); v != None {
			return action, v
		}
	}
	return 0, None
}

func plainEnd(o *config.OnMatch, f *Facts) (int, Verdict) {
	action, v := o.Action, Found
	if o.Matcher != nil {
		action, v = plain(o.Matcher, f)
	}
	if v == Found && o.Keep {
		return 0, None
	}
	return action, v
}

func plainValue(m *config.Matcher, f *Facts) (string, known) {
	if m.Input.Kind == config.InputStatus {
		if m.Kind == config.MatchIP {
			return "", absent
		}
		return "", notYet
	}
	for i := range f.Request.Headers {
		if string(f.Request.Headers[i].Name) == m.Input.Name {
			return string(f.Request.Headers[i].Value), there
		}
	}
	return "", absent
}

// candidates are the branches for a value, the best first.
func candidates(m *config.Matcher, value string) (all []*config.OnMatch) {
	for n := len(value); n >= 0 && m.Kind == config.MatchLongestPrefix; n-- {
		for i := range m.Map {
			if m.Map[i].Key == value[:n] {
				all = append(all, &m.Map[i].Then)
			}
		}
	}
	for i := range m.Map {
		if m.Kind == config.MatchExact && m.Map[i].Key == value {
			all = append(all, &m.Map[i].Then)
		}
	}
	if m.Kind == config.MatchDomain && value != "" {
		try := []string{value}
		for i := range value {
			if value[i] == '.' {
				try = append(try, "*."+value[i+1:])
			}
		}
		for _, name := range append(try, "*") {
			for i := range m.Domains {
				if m.Domains[i].Domains[0] == name {
					all = append(all, &m.Domains[i].Then)
				}
			}
		}
	}
	if ip, err := netip.ParseAddr(value); m.Kind == config.MatchIP && err == nil {
		tried := 0
		for bits := 32; bits >= 0; bits-- {
			for i := range m.Ranges {
				r := &m.Ranges[i]
				if r.Ranges[0].Bits() == bits && r.Ranges[0].Contains(ip.Unmap()) && (tried == 0 || !r.Exclusive) {
					all = append(all, &r.Then)
					tried++
				}
			}
		}
	}
	return all
}

func plainHolds(p *config.Predicate, f *Facts) Verdict {
	switch p.Kind {
	case config.PredicateNot:
		return [...]Verdict{None: Found, Found: None, Unknown: Unknown}[plainHolds(&p.Of[0], f)]
	case config.PredicateAnd:
		for i := range p.Of {
			if v := plainHolds(&p.Of[i], f); v != Found {
				return v
			}
		}
		return Found
	case config.PredicateOr:
		end := None
		for i := range p.Of {
			if v := plainHolds(&p.Of[i], f); v == Found {
				return v
			} else if v == Unknown {
				end = v
			}
		}
		return end
	case config.PredicateSingle:
	}
	value, known := plainValue(&config.Matcher{Input: p.Input}, f)
	if known != there {
		return [...]Verdict{absent: None, notYet: Unknown}[known]
	}
	want := p.Test.String.Value
	if p.Test.String.IgnoreCase {
		value, want = lowerASCII(value), lowerASCII(want)
	}
	holds := [...]func(s, part string) bool{
		config.StringExact: func(a, b string) bool { return a == b }, config.StringPrefix: strings.HasPrefix,
		config.StringSuffix: strings.HasSuffix, config.StringContains: strings.Contains,
	}
	return verdict(holds[p.Test.String.Kind](value, want))
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
