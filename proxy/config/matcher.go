package config

import "net/netip"

// Matcher is a tree of conditions that leads to an action (xds.type.matcher.v3.Matcher, and Envoy's copy of it). An
// action is a number: whoever owns the tree keeps the list of them. It has one Kind; Else is for all that nothing of
// it takes, nil: there is no action then.
type Matcher struct {
	Kind MatcherKind
	// List is tried in order (MatchInOrder).
	List []FieldMatch
	// Input is what the other kinds look up in Map, Ranges or Domains.
	Input   MatchInput
	Map     []MatchEntry   // MatchExact, MatchLongestPrefix: by key, each once
	Ranges  []MatchRanges  // MatchIP: those who are named first win among equals
	Domains []MatchDomains // MatchDomain: no domain stands twice
	Else    *OnMatch
}

// MatcherKind says how a tree finds what to do.
type MatcherKind uint8

// The kinds. MatchAny takes Else at once.
const (
	MatchAny MatcherKind = iota
	MatchInOrder
	MatchExact
	MatchLongestPrefix
	MatchIP
	MatchDomain
)

// OnMatch is another tree or, if that is nil, an action. Keep counts a match and goes on as if there had been none.
type OnMatch struct {
	Matcher *Matcher
	Action  int
	Keep    bool
}

// FieldMatch is a condition and what is done if it holds.
type FieldMatch struct {
	If   Predicate
	Then OnMatch
}

// Predicate is a condition: on one input, or of others.
type Predicate struct {
	Kind PredicateKind
	Of   []Predicate // PredicateAnd, PredicateOr; one of PredicateNot
	// PredicateSingle.
	Input MatchInput
	Test  InputTest
}

// PredicateKind is the kind of a condition.
type PredicateKind uint8

// The kinds of condition.
const (
	PredicateSingle PredicateKind = iota
	PredicateAnd
	PredicateOr
	PredicateNot
)

// InputTest is what is asked of an input.
type InputTest struct {
	Kind   InputTestKind
	String StringMatch    // TestString
	Ranges []netip.Prefix // TestIP
	// TestValue, for InputMetadata alone.
	Value  ValueMatch
	Invert bool
	// TestFraction, and TestHash: at least From of Modulo, Modulo not 0.
	Fraction     Fraction
	From, Modulo uint32
	Seed         uint64
	CEL          string // TestCEL, for InputCEL alone
}

// InputTestKind is the kind of a test.
type InputTestKind uint8

// The kinds of test.
const (
	TestString InputTestKind = iota
	TestIP
	TestValue
	TestFraction
	TestHash
	TestCEL
)

// MatchEntry is an entry of a map.
type MatchEntry struct {
	Key  string
	Then OnMatch
}

// MatchRanges are addresses. Exclusive ones are tried only if no longer prefix has the address.
type MatchRanges struct {
	Ranges    []netip.Prefix
	Exclusive bool
	Then      OnMatch
}

// MatchDomains are names: "a.example", "*.example" for all below it, "*" for all.
type MatchDomains struct {
	Domains []string
	Then    OnMatch
}

// MatchInput is what a tree looks at.
type MatchInput struct {
	Kind InputKind
	// Name of a header (lower case; pseudo-headers as ":path"), a query parameter, or an object of filter state.
	Name string
	// Namespace and Path lead to a value of metadata.
	Namespace string
	Path      []string
	// Text is that of InputText.
	Text string
}

// InputKind is the kind of an input.
type InputKind uint8

// The kinds of input. Those of a connection are the client's, by PROXY header if one came.
const (
	InputRequestHeader InputKind = iota
	InputRequestTrailer
	InputResponseHeader
	InputResponseTrailer
	InputQuery
	InputStatus      // "200"
	InputStatusClass // "2xx"
	InputCEL         // all of it, for TestCEL
	InputDestinationIP
	InputDestinationPort
	InputSourceIP
	InputSourcePort
	InputDirectSourceIP
	InputSourceType           // "local" for a peer on this machine, else nothing
	InputServerName           // that TLS asked for
	InputTransportProtocol    // "tls" or "raw_buffer"
	InputApplicationProtocols // those that ALPN offered: 'h2','http/1.1'
	InputFilterState
	InputMetadata // for TestValue
	InputURISAN   // of the client's certificate, joined by commas
	InputDNSSAN
	InputSubject
	InputNamespace // file of the network namespace that the listener is in
	InputText      // the same whatever comes: an environment variable
	InputNothing   // never there
)

// EachAction yields the actions that the tree leads to, some maybe several times.
func (m *Matcher) EachAction(yield func(action int) bool) bool {
	then := func(t *OnMatch) bool {
		if t.Matcher != nil {
			return t.Matcher.EachAction(yield)
		}
		return yield(t.Action)
	}
	for i := range m.List {
		if !then(&m.List[i].Then) {
			return false
		}
	}
	for i := range m.Map {
		if !then(&m.Map[i].Then) {
			return false
		}
	}
	for i := range m.Ranges {
		if !then(&m.Ranges[i].Then) {
			return false
		}
	}
	for i := range m.Domains {
		if !then(&m.Domains[i].Then) {
			return false
		}
	}
	return m.Else == nil || then(m.Else)
}
