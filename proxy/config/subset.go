package config

import (
	"cmp"
	"slices"
)

// Subsets divides a cluster's hosts by their metadata of the namespace envoy.lb,
// so that a request asks those alone that its route wants (Envoy
// Cluster.LbSubsetConfig).
type Subsets struct {
	// Fallback says who is asked where no subset is as is wanted, or nothing is
	// wanted; Default is that of FallbackDefault.
	Fallback  SubsetFallback
	Default   Criteria
	Selectors []SubsetSelector
	// LocalityAware lets the weights of localities count within a subset;
	// ScaleLocality reduces them by the hosts that are not in it.
	LocalityAware, ScaleLocality bool
	// PanicAny asks anybody when the fallback has nobody.
	PanicAny bool
	// ListAsAny lets a host with a list of values be in the subset of each.
	ListAsAny bool
	// AllowRedundant looks at those criteria alone that a selector knows.
	AllowRedundant bool
	// FallbackList tries the criteria of the list fallback_list, one after the other.
	FallbackList bool
}

// SubsetFallback is what to do where there is no subset.
type SubsetFallback uint8

// The fallbacks. FallbackNotDefined and FallbackKeys are a selector's.
const (
	FallbackNone SubsetFallback = iota
	FallbackAny
	FallbackDefault
	FallbackNotDefined // that of the cluster
	FallbackKeys       // with fewer criteria
)

// SubsetSelector makes a subset for each combination of values of its keys.
type SubsetSelector struct {
	Keys         []string // sorted
	Fallback     SubsetFallback
	FallbackKeys []string // sorted
	Single       bool     // each subset has one host: the first
}

// Criterion is one value that a host's metadata must have.
type Criterion struct {
	Name string
	// Text is the value as JSON: equal texts are equal values.
	Text string
	// List is what a list of structs says, for FallbackList.
	List []Criteria
}

// FallbackListName is the criterion that FallbackList looks at.
const FallbackListName = "fallback_list"

// Criteria are sorted by name, each name once.
type Criteria []Criterion

// CriteriaOf are the fields of a namespace of metadata; nil if there are none.
func CriteriaOf(fields map[string]Value) (all Criteria) {
	for name, v := range fields {
		c := Criterion{Name: name, Text: string(v.AppendJSON(nil))}
		for i := range v.List {
			if name == FallbackListName && v.List[i].Kind == ValueStruct {
				c.List = append(c.List, CriteriaOf(v.List[i].Fields))
			}
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Criterion) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Merge is c with what is in over added; over's values win.
func (c Criteria) Merge(over Criteria) Criteria {
	if len(over) == 0 {
		return c
	}
	all := slices.Clone(over)
	for _, x := range c {
		if !slices.ContainsFunc(over, func(o Criterion) bool { return o.Name == x.Name }) {
			all = append(all, x)
		}
	}
	slices.SortFunc(all, func(a, b Criterion) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// LB are the endpoint's values in the namespace envoy.lb, which subsets look at.
func (e *Endpoint) LB() map[string]Value { return e.FilterMetadata["envoy.lb"] }
