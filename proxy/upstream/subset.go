package upstream

// Subsets: parts of a cluster by the metadata of hosts, each balanced like a
// cluster of its own (Envoy load_balancing_policies/subset/subset_lb.cc).
//
//	Pick.Match ─▶ trie of keys and values ─▶ subset's view ─▶ its picker of this worker
//	                     └─ none ─▶ the selector's fallback, else the cluster's

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
)

// subsets are those of one view. Immutable.
type subsets struct {
	asked    *config.Subsets
	root     subsetNode
	all      []*subset // numbered
	labelled int       // of them, those of a selector
	anybody  *subset   // nil unless some fallback wants it
	fallback *subset   // the cluster's; nil: none
	standard *subset   // the default subset
	byKey    map[string]*subset
}

// subset is a group of hosts.
type subset struct {
	*view
	number int
	single *Host // it alone is meant
	hosts  []member
}

// subsetNode is where the criteria so far lead to. Keys come in order, so that
// one path leads to each set of them.
type subsetNode struct {
	keys     []subsetKey
	subset   *subset
	fallback *config.SubsetSelector // of the selector that ends here
}

type subsetKey struct {
	name   string
	values map[string]*subsetNode // by text
	any    *subsetNode            // whatever the value: knows selectors alone
}

// newSubsets divides the members of a view.
func newSubsets(v *view, before *view) (*subsets, error) {
	s := &subsets{asked: v.asked.Subsets, byKey: map[string]*subset{}}
	if s.wants(config.FallbackAny) || s.asked.PanicAny {
		s.anybody = s.add("any", nil)
		s.anybody.hosts = v.members
	}
	if s.wants(config.FallbackDefault) {
		s.standard = s.add("default", nil)
	}
	switch s.asked.Fallback {
	case config.FallbackAny:
		s.fallback = s.anybody
	case config.FallbackDefault:
		s.fallback = s.standard
	}
	for i := range s.asked.Selectors {
		s.root.declare(&s.asked.Selectors[i], 0)
	}
	for i := range v.members {
		m := &v.members[i]
		if s.standard != nil && s.matches(m) {
			s.standard.hosts = append(s.standard.hosts, *m)
		}
		for j := range s.asked.Selectors {
			s.place(m, &s.asked.Selectors[j], &s.root, 0, nil)
		}
	}
	return s, s.build(v, before)
}

// wants reports whether some fallback is of this kind.
func (s *subsets) wants(k config.SubsetFallback) bool {
	return s.asked.Fallback == k || slices.ContainsFunc(s.asked.Selectors, func(x config.SubsetSelector) bool { return x.Fallback == k })
}

func (s *subsets) add(key string, node *subsetNode) *subset {
	x := &subset{number: len(s.all)}
	s.all = append(s.all, x)
	s.byKey[key] = x
	if node != nil {
		node.subset = x
		s.labelled++
	}
	return x
}

// matches reports whether a host is in the default subset.
func (s *subsets) matches(m *member) bool {
	fields := m.endpoint.LB()
	for _, c := range s.asked.Default {
		v, ok := fields[c.Name]
		if !ok || !slices.Contains(s.texts(v), c.Text) {
			return false
		}
	}
	return true
}

// texts are the values that a host's value stands for.
func (s *subsets) texts(v config.Value) []string {
	if !s.asked.ListAsAny || v.Kind != config.ValueList {
		return []string{string(v.AppendJSON(nil))}
	}
	var all []string
	for i := range v.List {
		all = append(all, string(v.List[i].AppendJSON(nil)))
	}
	return all
}

// declare notes what to do where a selector's keys are wanted and no host has the
// values; the first selector of a set of keys counts.
func (n *subsetNode) declare(x *config.SubsetSelector, at int) {
	if at == len(x.Keys) {
		if n.fallback == nil {
			n.fallback = x
		}
		return
	}
	k := n.key(x.Keys[at])
	if k.any == nil {
		k.any = &subsetNode{}
	}
	k.any.declare(x, at+1)
}

func (n *subsetNode) key(name string) *subsetKey {
	i := slices.IndexFunc(n.keys, func(k subsetKey) bool { return k.name == name })
	if i < 0 {
		i = len(n.keys)
		n.keys = append(n.keys, subsetKey{name: name, values: map[string]*subsetNode{}})
	}
	return &n.keys[i]
}

// place puts a host into the subsets of a selector, if it has all its keys.
func (s *subsets) place(m *member, x *config.SubsetSelector, n *subsetNode, at int, path []string) {
	if at == len(x.Keys) {
		if n.subset == nil {
			s.add(strings.Join(path, "\x00"), n)
		}
		if !x.Single {
			n.subset.hosts = append(n.subset.hosts, *m)
		} else if len(n.subset.hosts) == 0 {
			n.subset.hosts, n.subset.single = append(n.subset.hosts, *m), m.host
		}
		return
	}
	v, ok := m.endpoint.LB()[x.Keys[at]]
	if !ok {
		return
	}
	k := n.key(x.Keys[at])
	for _, text := range s.texts(v) {
		next := k.values[text]
		if next == nil {
			next = &subsetNode{}
			k.values[text] = next
		}
		s.place(m, x, next, at+1, append(path[:len(path):len(path)], x.Keys[at], text))
		k = n.key(x.Keys[at]) // may have moved
	}
}

// build makes the views; hash tables of before are used again where they fit.
func (s *subsets) build(v, before *view) error {
	asked := *v.asked
	asked.Subsets = nil
	asked.Balance.LocalityWeighted = asked.Balance.LocalityWeighted && s.asked.LocalityAware
	for key, x := range s.byKey {
		var old *view
		if before != nil && before.subsets != nil {
			if o := before.subsets.byKey[key]; o != nil {
				old = o.view
			}
		}
		hosts := slices.Clone(x.hosts)
		if asked.Balance.LocalityWeighted && s.asked.ScaleLocality {
			scaleLocalities(hosts, v.members)
		}
		var err error
		if x.view, err = newView(&asked, hosts, old); err != nil {
			return err
		}
	}
	return nil
}

// scaleLocalities reduces the weights of localities to the part of their hosts
// that is among some.
func scaleLocalities(some, all []member) {
	whole := map[*config.Locality]int{}
	for i := range all {
		whole[all[i].locality]++
	}
	part := map[*config.Locality]int{}
	for i := range some {
		part[some[i].locality]++
	}
	scaled := map[*config.Locality]*config.Locality{}
	for old, n := range part {
		l := *old
		l.Weight = uint32(math.Round(float64(l.Weight) * float64(n) / float64(whole[old])))
		scaled[old] = &l
	}
	for i := range some {
		some[i].locality = scaled[some[i].locality]
	}
}

// find gives the subset that has exactly these criteria, and what the selector
// of their keys says of a fallback.
func (s *subsets) find(match config.Criteria) (*subset, *config.SubsetSelector) {
	n, names := &s.root, &s.root
	for i := range match {
		if n != nil {
			n = n.follow(&match[i])
		}
		if names = names.named(match[i].Name); names == nil {
			return nil, nil
		}
	}
	if n == nil {
		return nil, names.fallback
	}
	return n.subset, names.fallback
}

func (n *subsetNode) follow(c *config.Criterion) *subsetNode {
	for i := range n.keys {
		if n.keys[i].name == c.Name {
			return n.keys[i].values[c.Text]
		}
	}
	return nil
}

func (n *subsetNode) named(name string) *subsetNode {
	for i := range n.keys {
		if n.keys[i].name == name {
			return n.keys[i].any
		}
	}
	return nil
}

// subsetCounters are what one worker counted of a cluster's subsets.
type subsetCounters struct{ selected, fallback, panic uint64 }

// pickSubset chooses a host of the subset that the request wants.
func (p *picker) pickSubset(v *view, q *Pick, r *rand.Rand) *Host {
	if v != p.of {
		p.of, p.parts = v, make([]picker, len(v.subsets.all))
	}
	if v.subsets.asked.FallbackList {
		for i := range q.Match {
			if c := &q.Match[i]; c.Name == config.FallbackListName {
				return p.alongList(v.subsets, q.Match, c.List, q, r)
			}
		}
	}
	return p.amongSubsets(v.subsets, q.Match, q, r)
}

// alongList tries each of a list of criteria over those of the request
// (SubsetLoadBalancer::chooseHostWithMetadataFallbacks).
func (p *picker) alongList(s *subsets, match config.Criteria, list []config.Criteria, q *Pick, r *rand.Rand) *Host {
	if len(list) == 0 {
		return p.amongSubsets(s, mergeCriteria(p.merged[:0], match, nil), q, r)
	}
	for _, over := range list {
		if h := p.amongSubsets(s, mergeCriteria(p.merged[:0], match, over), q, r); h != nil {
			return h
		}
	}
	return nil
}

// mergeCriteria appends both in order, but for the list itself; over wins.
func mergeCriteria(dst, match, over config.Criteria) config.Criteria {
	for len(match) > 0 || len(over) > 0 {
		switch {
		case len(match) > 0 && match[0].Name == config.FallbackListName:
			match = match[1:]
		case len(over) == 0 || len(match) > 0 && match[0].Name < over[0].Name:
			dst, match = append(dst, match[0]), match[1:]
		default:
			if len(match) > 0 && match[0].Name == over[0].Name {
				match = match[1:]
			}
			dst, over = append(dst, over[0]), over[1:]
		}
	}
	return dst
}

// amongSubsets is SubsetLoadBalancer::chooseHostIteration.
func (p *picker) amongSubsets(s *subsets, match config.Criteria, q *Pick, r *rand.Rand) *Host {
	if len(match) > 0 {
		if s.asked.AllowRedundant {
			match = s.reduce(match, p.criteria[:0])
		}
		x, selector := s.find(match)
		if x != nil {
			p.subset.selected++
			return p.within(x, q, r)
		}
		if selector != nil && selector.Fallback != config.FallbackNotDefined {
			return p.selectorFallback(s, selector, match, q, r)
		}
	}
	if s.fallback == nil {
		return nil
	}
	if h := p.within(s.fallback, q, r); h != nil {
		p.subset.fallback++
		return h
	}
	if !s.asked.PanicAny {
		return nil
	}
	h := p.within(s.anybody, q, r)
	if h != nil {
		p.subset.panic++
	}
	return h
}

func (p *picker) selectorFallback(s *subsets, x *config.SubsetSelector, match config.Criteria, q *Pick, r *rand.Rand) *Host {
	switch x.Fallback {
	case config.FallbackAny:
		return p.within(s.anybody, q, r)
	case config.FallbackDefault:
		return p.within(s.standard, q, r)
	case config.FallbackKeys:
		return p.amongSubsets(s, withNames(match, x.FallbackKeys, p.criteria[:0]), q, r)
	}
	return nil
}

// reduce keeps the criteria of the first selector all of whose keys are among
// them.
func (s *subsets) reduce(match, buf config.Criteria) config.Criteria {
	for i := range s.asked.Selectors {
		if keys := s.asked.Selectors[i].Keys; len(keys) <= len(match) {
			if some := withNames(match, keys, buf); len(some) == len(keys) {
				return some
			}
		}
	}
	return match
}

// withNames keeps the criteria with these names. buf may be the front of match.
func withNames(match config.Criteria, names []string, buf config.Criteria) config.Criteria {
	for _, c := range match {
		if slices.Contains(names, c.Name) {
			buf = append(buf, c)
		}
	}
	return buf
}

// within picks among the hosts of a subset.
func (p *picker) within(x *subset, q *Pick, r *rand.Rand) *Host {
	if x.single != nil {
		return x.single
	}
	part := &p.parts[x.number]
	before := part.panics
	part.now, part.local, part.zone = p.now, p.local, p.zone
	h := part.pick(x.view, q, r)
	p.panics += part.panics - before
	p.zone = part.zone
	return h
}
