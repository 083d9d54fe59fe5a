// Package tree holds trees of conditions, compiled, against what is known of a request or of a connection, and says
// which action they lead to (Envoy's unified matching API: source/common/matcher, extensions/common/matcher).
//
//	Facts ──▶ root ──┬─ list: the first condition that holds ──▶ action, or another tree
//	                 ├─ map, prefixes, addresses, domains: what the input's value leads to
//	                 └─ else
//
// A branch that ends without an action has not matched, and its tree goes on with the next one. A value that is not
// there is not an empty one: it goes to else. One that is not there yet ends the search with Unknown.
//
// Trees are immutable; any goroutine, each with Facts of its own. Nothing allocates but headers of several lines,
// regular expressions, query parameters with escapes, addresses that come as text, and CEL.
package tree

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
)

// Verdict is how a search ended.
type Verdict uint8

// The ends of a search.
const (
	None    Verdict = iota // nothing matched
	Found                  // an action
	Unknown                // what it takes to know is not there yet
)

// Tree is a compiled config.Matcher.
type Tree struct {
	kind     config.MatcherKind
	list     []rule
	input    input
	exact    map[string]*then // MatchExact
	prefixes []prefix         // MatchLongestPrefix, sorted
	lengths  []length         // MatchIP, the longest first
	names    map[string]*then // MatchDomain: whole names
	below    map[string]*then // names below one: of "*.a.example" it is "a.example"
	any      *then            // "*"
	other    *then
}

// then is a compiled config.OnMatch.
type then struct {
	tree   *Tree
	action int
	keep   bool
}

type rule struct {
	predicate
	then
}

// prefix is an entry of MatchLongestPrefix; above is the next shorter prefix of its key, -1: there is none.
type prefix struct {
	key   string
	above int
	then  *then
}

// length is all networks of one prefix length in a family.
type length struct {
	bits int
	v4   bool
	at   map[netip.Prefix][]network
}

type network struct {
	exclusive bool
	then      *then
}

// New compiles a tree; nil for nil.
func New(m *config.Matcher) *Tree {
	if m == nil {
		return nil
	}
	t := &Tree{kind: m.Kind, input: newInput(&m.Input)}
	if m.Else != nil {
		t.other = newThen(m.Else)
	}
	for i := range m.List {
		t.list = append(t.list, rule{newPredicate(&m.List[i].If), *newThen(&m.List[i].Then)})
	}
	switch m.Kind {
	case config.MatchExact:
		t.exact = make(map[string]*then, len(m.Map))
		for i := range m.Map {
			t.exact[m.Map[i].Key] = newThen(&m.Map[i].Then)
		}
	case config.MatchLongestPrefix:
		t.prefixes = newPrefixes(m.Map)
	case config.MatchIP:
		t.lengths = newLengths(m.Ranges)
	case config.MatchDomain:
		t.addDomains(m.Domains)
	}
	return t
}

func newThen(m *config.OnMatch) *then { return &then{New(m.Matcher), m.Action, m.Keep} }

func newPrefixes(all []config.MatchEntry) []prefix {
	list := make([]prefix, len(all))
	for i := range all {
		list[i] = prefix{all[i].Key, -1, newThen(&all[i].Then)}
	}
	slices.SortFunc(list, func(a, b prefix) int { return strings.Compare(a.key, b.key) })
	for i := 1; i < len(list); i++ {
		at := i - 1
		for at >= 0 && !strings.HasPrefix(list[i].key, list[at].key) {
			at = list[at].above
		}
		list[i].above = at
	}
	return list
}

// newLengths keeps the order of the ranges in each network: the first wins.
func newLengths(all []config.MatchRanges) (list []length) {
	for i := range all {
		n := network{all[i].Exclusive, newThen(&all[i].Then)}
		for _, p := range all[i].Ranges {
			p = p.Masked()
			k := slices.IndexFunc(list, func(l length) bool { return l.bits == p.Bits() && l.v4 == p.Addr().Is4() })
			if k < 0 {
				k, list = len(list), append(list, length{p.Bits(), p.Addr().Is4(), map[netip.Prefix][]network{}})
			}
			list[k].at[p] = append(list[k].at[p], n)
		}
	}
	slices.SortFunc(list, func(a, b length) int { return cmp.Compare(b.bits, a.bits) })
	return list
}

func (t *Tree) addDomains(all []config.MatchDomains) {
	t.names, t.below = map[string]*then{}, map[string]*then{}
	for i := range all {
		to := newThen(&all[i].Then)
		for _, d := range all[i].Domains {
			if below, ok := strings.CutPrefix(d, "*."); ok {
				t.below[below] = to
			} else if d == "*" {
				t.any = to
			} else {
				t.names[d] = to
			}
		}
	}
}

// Match searches for an action.
func (t *Tree) Match(f *Facts) (action int, v Verdict) {
	switch t.kind {
	case config.MatchInOrder:
		return t.inOrder(f)
	case config.MatchExact, config.MatchLongestPrefix, config.MatchDomain:
		return t.byText(f)
	case config.MatchIP:
		return t.byAddress(f)
	case config.MatchAny:
	}
	return t.other.end(f)
}

// end follows a branch (MatchTree::handleRecursionAndSkips).
func (n *then) end(f *Facts) (action int, v Verdict) {
	if n == nil {
		return 0, None
	}
	action, v = n.action, Found
	if n.tree != nil {
		action, v = n.tree.Match(f)
	}
	if v == Found && n.keep {
		v = None
	}
	return action, v
}

func (t *Tree) inOrder(f *Facts) (action int, v Verdict) {
	for i := range t.list {
		r := &t.list[i]
		switch r.holds(f) {
		case Unknown:
			return 0, Unknown
		case Found:
			if action, v = r.end(f); v != None {
				return action, v
			}
		case None:
		}
	}
	return t.other.end(f)
}

// byText looks the input's value up. What is made of numbers and addresses is made here, where no memory is asked
// for it.
func (t *Tree) byText(f *Facts) (action int, v Verdict) {
	if t.input.made() {
		var text [maxMade]byte
		value, known := t.input.make(text[:0], f)
		return t.lookUp(value, known, f)
	}
	value, known := t.input.lent(f)
	return t.lookUp(value, known, f)
}

func (t *Tree) lookUp(value []byte, known known, f *Facts) (action int, v Verdict) {
	switch known {
	case notYet:
		return 0, Unknown
	case absent:
		return t.other.end(f)
	case there:
	}
	switch t.kind {
	case config.MatchExact:
		if action, v = t.exact[string(value)].end(f); v != None {
			return action, v
		}
	case config.MatchLongestPrefix:
		for at := t.longest(value); at >= 0; at = t.prefixes[at].above {
			if action, v = t.prefixes[at].then.end(f); v != None {
				return action, v
			}
		}
	default:
		if action, v = t.domain(value, f); v != None {
			return action, v
		}
	}
	return t.other.end(f)
}

// longest is the longest prefix of a value, -1 if none is. All keys that are one lie on the way up from the greatest
// key that is not above the value.
func (t *Tree) longest(value []byte) int {
	low, high := 0, len(t.prefixes)
	for low < high {
		if mid := (low + high) / 2; t.prefixes[mid].key <= string(value) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	at := low - 1
	for at >= 0 && (len(value) < len(t.prefixes[at].key) || string(value[:len(t.prefixes[at].key)]) != t.prefixes[at].key) {
		at = t.prefixes[at].above
	}
	return at
}

// domain tries the whole name, then names above it, the longest first, then "*" (DomainTrieMatcher).
func (t *Tree) domain(name []byte, f *Facts) (action int, v Verdict) {
	if len(name) == 0 {
		return 0, None
	}
	if action, v = t.names[string(name)].end(f); v != None {
		return action, v
	}
	for i, c := range name {
		if c != '.' {
			continue
		}
		if action, v = t.below[string(name[i+1:])].end(f); v != None {
			return action, v
		}
	}
	return t.any.end(f)
}

// byAddress tries the networks of an address, the longest first, and among equals the one named first
// (IpRangeMatcher).
func (t *Tree) byAddress(f *Facts) (action int, v Verdict) {
	addr, known := t.input.address(f)
	if known == notYet {
		return 0, Unknown
	}
	if known == absent || !addr.IsValid() {
		return t.other.end(f)
	}
	first := true
	for i := range t.lengths {
		l := &t.lengths[i]
		if l.v4 != addr.Is4() {
			continue
		}
		p, _ := addr.Prefix(l.bits) // it is a length of the family
		for _, n := range l.at[p] {
			if !first && n.exclusive {
				continue
			}
			if action, v = n.then.end(f); v != None {
				return action, v
			}
			first = false
		}
	}
	return t.other.end(f)
}
