package envoyv3

// Matcher trees: the unified matching API (Envoy source/common/matcher/matcher.h, MatchTreeFactory).

import (
	"slices"
	"strings"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	commonmatcherv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/matcher/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
)

// Bounds of one tree.
const (
	maxDepth    = 50      // of matchers and predicates in each other; a message's own depth is less than 100
	maxBranches = 100_000 // entries of lists, maps, ranges and predicates together
)

// treePlace is where a tree stands: what it may look at and what it leads to.
type treePlace struct {
	input kind // requestInput or connInput
	// allowed are the types of the inputs that may be there, nil: all; refusal says
	// why another may not, "%s" is its type URL.
	allowed []string
	refusal string
	// action reads an action and gives its number.
	action func(p path, m *xdscorev3.TypedExtensionConfig) int
	// answersOnly says that there is no request to look at.
	answersOnly bool

	depth, branches int
}

// commonMatcher reads Envoy's copy of the message, which is the same on the wire.
func (d *decoder) commonMatcher(p path, m *commonmatcherv3.Matcher, at *treePlace) *config.Matcher {
	if m == nil {
		return nil
	}
	same := &xdsmatcherv3.Matcher{}
	if !d.recast(p, m, same) {
		return nil
	}
	d.check(p, same)
	return d.matcher(p, same, at)
}

// recast reads a message as one that is the same on the wire.
func (d *decoder) recast(p path, from, to proto.Message) bool {
	wire, err := proto.Marshal(from)
	if err == nil {
		err = proto.Unmarshal(wire, to)
	}
	if err != nil {
		d.refuse(p, "not a %s: %v", to.ProtoReflect().Descriptor().FullName(), err)
	}
	return err == nil
}

// matcher reads a tree; nil for nil.
func (d *decoder) matcher(p path, m *xdsmatcherv3.Matcher, at *treePlace) *config.Matcher {
	if m == nil {
		return nil
	}
	t := &config.Matcher{}
	if !d.deeper(p, at) {
		return t
	}
	defer func() { at.depth-- }()
	switch x := m.GetMatcherType().(type) {
	case *xdsmatcherv3.Matcher_MatcherList_:
		t.Kind = config.MatchInOrder
		pl := p.dot("matcher_list").dot("matchers")
		if len(x.MatcherList.GetMatchers()) == 0 {
			d.refuse(pl, "value must contain at least 1 item(s)")
		}
		for i, f := range x.MatcherList.GetMatchers() {
			if !d.another(pl.at(i), at) {
				break
			}
			t.List = append(t.List, config.FieldMatch{
				If:   d.predicate(pl.at(i).dot("predicate"), f.GetPredicate(), at),
				Then: d.onMatch(pl.at(i).dot("on_match"), f.GetOnMatch(), at),
			})
		}
	case *xdsmatcherv3.Matcher_MatcherTree_:
		d.matcherTree(p.dot("matcher_tree"), x.MatcherTree, at, t)
	case nil:
	}
	if m.GetOnNoMatch() != nil {
		other := d.onMatch(p.dot("on_no_match"), m.GetOnNoMatch(), at)
		t.Else = &other
	}
	return t
}

// deeper goes down by one; whoever calls it comes up again if it is true.
func (d *decoder) deeper(p path, at *treePlace) bool {
	if at.depth == maxDepth {
		d.refuse(p, "matchers and predicates may be %d deep in each other", maxDepth)
		return false
	}
	at.depth++
	return true
}

// another counts a branch.
func (d *decoder) another(p path, at *treePlace) bool {
	if at.branches++; at.branches == maxBranches {
		d.refuse(p, "a matcher may have %d branches", maxBranches)
	}
	return at.branches < maxBranches
}

func (d *decoder) onMatch(p path, m *xdsmatcherv3.Matcher_OnMatch, at *treePlace) config.OnMatch {
	then := config.OnMatch{Keep: m.GetKeepMatching()}
	switch x := m.GetOnMatch().(type) {
	case *xdsmatcherv3.Matcher_OnMatch_Matcher:
		then.Matcher = d.matcher(p.dot("matcher"), x.Matcher, at)
	case *xdsmatcherv3.Matcher_OnMatch_Action:
		then.Action = at.action(p.dot("action").dot("typed_config"), x.Action)
	case nil:
		d.refuse(p, "one of matcher and action is required")
	}
	return then
}

func (d *decoder) predicate(p path, m *xdsmatcherv3.Matcher_MatcherList_Predicate, at *treePlace) config.Predicate {
	c := config.Predicate{}
	if !d.deeper(p, at) {
		return c
	}
	defer func() { at.depth-- }()
	of := func(p path, list ...*xdsmatcherv3.Matcher_MatcherList_Predicate) {
		for i, m := range list {
			pi := p
			if c.Kind != config.PredicateNot {
				pi = p.dot("predicate").at(i)
			}
			if !d.another(pi, at) {
				return
			}
			c.Of = append(c.Of, d.predicate(pi, m, at))
		}
	}
	switch x := m.GetMatchType().(type) {
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_SinglePredicate_:
		d.singlePredicate(p.dot("single_predicate"), x.SinglePredicate, at, &c)
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_OrMatcher:
		c.Kind = config.PredicateOr
		of(p.dot("or_matcher"), x.OrMatcher.GetPredicate()...)
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_AndMatcher:
		c.Kind = config.PredicateAnd
		of(p.dot("and_matcher"), x.AndMatcher.GetPredicate()...)
	case *xdsmatcherv3.Matcher_MatcherList_Predicate_NotMatcher:
		c.Kind = config.PredicateNot
		of(p.dot("not_matcher"), x.NotMatcher)
	case nil:
		d.refuse(p, "one of single_predicate, or_matcher, and_matcher and not_matcher is required")
	}
	return c
}

func (d *decoder) matcherTree(p path, m *xdsmatcherv3.Matcher_MatcherTree, at *treePlace, t *config.Matcher) {
	t.Input = d.matchInput(p.dot("input"), m.GetInput(), at)
	if kind := t.Input.Kind; kind == config.InputCEL || kind == config.InputMetadata {
		d.refuse(p.dot("input"), "Unsupported data input type: %s, currently only string type is supported in map matcher", inputType(kind))
	}
	entries := func(p path, m *xdsmatcherv3.Matcher_MatcherTree_MatchMap) {
		if len(m.GetMap()) == 0 {
			d.refuse(p.dot("map"), "value must contain at least 1 pair(s)")
		}
		for _, key := range sortedKeys(m.GetMap()) {
			pe := p.dot("map").key(key)
			if !d.another(pe, at) {
				return
			}
			t.Map = append(t.Map, config.MatchEntry{Key: key, Then: d.onMatch(pe, m.GetMap()[key], at)})
		}
	}
	switch x := m.GetTreeType().(type) {
	case *xdsmatcherv3.Matcher_MatcherTree_ExactMatchMap:
		t.Kind = config.MatchExact
		entries(p.dot("exact_match_map"), x.ExactMatchMap)
	case *xdsmatcherv3.Matcher_MatcherTree_PrefixMatchMap:
		t.Kind = config.MatchLongestPrefix
		entries(p.dot("prefix_match_map"), x.PrefixMatchMap)
	case *xdsmatcherv3.Matcher_MatcherTree_CustomMatch:
		pc := p.dot("custom_match").dot("typed_config")
		switch c := d.extension(pc, customTree, x.CustomMatch.GetName(), x.CustomMatch.GetTypedConfig()).(type) {
		case *xdsmatcherv3.IPMatcher:
			d.ipMatcher(pc, c, at, t)
		case *xdsmatcherv3.ServerNameMatcher:
			d.domainMatcher(pc, c, at, t)
		}
	case nil:
		d.refuse(p, "one of exact_match_map, prefix_match_map and custom_match is required")
	}
}

// inputType is how Envoy calls what is no text.
func inputType(k config.InputKind) string {
	if k == config.InputCEL {
		return "cel_data_input"
	}
	return "metadata"
}

func (d *decoder) ipMatcher(p path, m *xdsmatcherv3.IPMatcher, at *treePlace, t *config.Matcher) {
	t.Kind = config.MatchIP
	for i, r := range m.GetRangeMatchers() {
		pr := p.dot("range_matchers").at(i)
		if !d.another(pr, at) {
			return
		}
		ranges := config.MatchRanges{Exclusive: r.GetExclusive(), Then: d.onMatch(pr.dot("on_match"), r.GetOnMatch(), at)}
		for k := range r.GetRanges() {
			if !d.another(pr.dot("ranges").at(k), at) {
				return
			}
		}
		ranges.Ranges = d.prefixes(pr.dot("ranges"), coreRanges(r.GetRanges()))
		t.Ranges = append(t.Ranges, ranges)
	}
}

// coreRanges are xDS's ranges as Envoy's.
func coreRanges(all []*xdscorev3.CidrRange) (list []*corev3.CidrRange) {
	for _, c := range all {
		list = append(list, &corev3.CidrRange{AddressPrefix: c.GetAddressPrefix(), PrefixLen: c.GetPrefixLen()})
	}
	return list
}

// domainMatcher reads names; the texts are Envoy's (domain_matcher.h).
func (d *decoder) domainMatcher(p path, m *xdsmatcherv3.ServerNameMatcher, at *treePlace, t *config.Matcher) {
	t.Kind = config.MatchDomain
	var seen []string
	known := map[string]bool{}
	for i, r := range m.GetDomainMatchers() {
		pr := p.dot("domain_matchers").at(i)
		if !d.another(pr, at) {
			return
		}
		for k, domain := range r.GetDomains() {
			pd := pr.dot("domains").at(k)
			if !d.another(pd, at) {
				return
			}
			below, wild := strings.CutPrefix(domain, "*.")
			switch {
			case known[domain]:
				d.refuse(pd, "Duplicate domain in ServerNameMatcher: %s", domain)
			case domain == "":
				d.refuse(pd, "Empty domain in ServerNameMatcher")
			case domain == "*":
			case strings.Contains(below, "*"), wild && below == "":
				d.refuse(pd, "Invalid wildcard domain format: %s. Only '*' and '*.domain' patterns are supported", domain)
			}
			known[domain] = true
			seen = append(seen, domain)
		}
		t.Domains = append(t.Domains, config.MatchDomains{Domains: seen, Then: d.onMatch(pr.dot("on_match"), r.GetOnMatch(), at)})
		seen = nil
	}
}

// permitted reports whether an input may be in the tree.
func (at *treePlace) permitted(typeName string) bool {
	return at.allowed == nil || slices.Contains(at.allowed, typeName)
}

// xdsString reads xDS's copy of a string condition.
func (d *decoder) xdsString(p path, m *xdsmatcherv3.StringMatcher) config.StringMatch {
	same := &matcherv3.StringMatcher{}
	if !d.recast(p, m, same) {
		return config.StringMatch{}
	}
	return d.stringMatch(p, same)
}
