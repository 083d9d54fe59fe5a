package tree

// Conditions of a list (Envoy source/common/matcher/field_matcher.h).

import (
	"net/netip"

	"github.com/attache-mesh/attache/hashing"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/match"
	"github.com/attache-mesh/attache/proxy/match/cel"
)

// predicate is a compiled config.Predicate.
type predicate struct {
	kind  config.PredicateKind
	of    []predicate
	input input
	test  test
}

// test is a compiled config.InputTest.
type test struct {
	config.InputTest
	text  match.String
	value match.Value
	cel   *cel.Program
}

func newPredicate(m *config.Predicate) predicate {
	p := predicate{kind: m.Kind, input: newInput(&m.Input)}
	for i := range m.Of {
		p.of = append(p.of, newPredicate(&m.Of[i]))
	}
	p.test = test{InputTest: m.Test, text: match.NewString(&m.Test.String), value: match.NewValue(&m.Test.Value)}
	if m.Test.Kind == config.TestCEL {
		p.test.cel = cel.Compile(m.Test.CEL)
	}
	return p
}

// holds decides: Found if it does, None if not.
func (p *predicate) holds(f *Facts) Verdict {
	switch p.kind {
	case config.PredicateAnd:
		for i := range p.of {
			if v := p.of[i].holds(f); v != Found {
				return v
			}
		}
		return Found
	case config.PredicateOr:
		end := None
		for i := range p.of {
			switch p.of[i].holds(f) {
			case Found:
				return Found
			case Unknown:
				end = Unknown
			case None:
			}
		}
		return end
	case config.PredicateNot:
		switch p.of[0].holds(f) {
		case Found:
			return None
		case None:
			return Found
		case Unknown:
		}
		return Unknown
	case config.PredicateSingle:
	}
	return p.single(f)
}

// single tests one input; an absent value passes no test but that of metadata.
func (p *predicate) single(f *Facts) Verdict {
	switch p.test.Kind {
	case config.TestValue:
		return verdict(p.test.value.Match(p.input.metadata(f)) != p.test.Invert)
	case config.TestIP:
		addr, known := p.input.address(f)
		if known == notYet {
			return Unknown
		}
		return verdict(known == there && inAny(p.test.Ranges, addr))
	case config.TestCEL:
		view := f.View // a copy: what is given to CEL is not on the stack
		return verdict(p.test.cel.Match(&view))
	case config.TestString, config.TestFraction, config.TestHash:
	}
	if p.input.made() {
		var text [maxMade]byte
		value, known := p.input.make(text[:0], f)
		if known == notYet {
			return Unknown
		}
		return verdict(known == there && p.test.madeMatches(value))
	}
	value, known := p.input.lent(f)
	if known == notYet {
		return Unknown
	}
	return verdict(known == there && p.test.matches(value))
}

func verdict(holds bool) Verdict {
	if holds {
		return Found
	}
	return None
}

// matches tests a text.
func (t *test) matches(value []byte) bool {
	if t.Kind == config.TestString {
		return t.text.Match(value)
	}
	return t.hashed(value)
}

// madeMatches is matches for a text that is gone when it returns. Only a regular expression, which may keep it as far
// as the compiler knows, gets a copy.
func (t *test) madeMatches(value []byte) bool {
	if t.Kind != config.TestString {
		return t.hashed(value)
	}
	if t.text.IsRegex() {
		return t.text.Match([]byte(string(value)))
	}
	return t.text.MatchPlain(value)
}

func (t *test) hashed(value []byte) bool {
	h := hashing.XXH64(value, t.Seed)
	if t.Kind == config.TestFraction {
		return h%uint64(t.Fraction.Den) < uint64(t.Fraction.Num)
	}
	return h%uint64(t.Modulo) >= uint64(t.From)
}

func inAny(ranges []netip.Prefix, addr netip.Addr) bool {
	for _, p := range ranges {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
