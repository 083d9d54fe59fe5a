package gateway

// Which match is tried first (HTTPRouteRule.matches, GRPCRouteRule.matches).

import (
	"cmp"
	"slices"
)

// ranked is a match with its place among all of a scope.
type ranked struct {
	Match
	route int // by age and name
}

// inOrder sorts the matches of a scope. They come in the order of their routes,
// the oldest first, and of their rules.
func inOrder(kind Kind, all []ranked) (sorted []Match) {
	by := byHTTP
	if kind == GRPCRoute {
		by = byGRPC
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Or(by(&a.Match, &b.Match), cmp.Compare(a.route, b.route)) })
	for _, one := range all {
		sorted = append(sorted, one.Match)
	}
	return sorted
}

// byHTTP: where a regular expression stands is left to implementations; here it
// goes before prefixes, which mostly are wider.
func byHTTP(a, b *Match) int {
	return cmp.Or(
		cmp.Compare(pathRank(a.Path.Kind), pathRank(b.Path.Kind)),
		cmp.Compare(len(b.Path.Value), len(a.Path.Value)),
		first(a.Method != "", b.Method != ""),
		cmp.Compare(len(b.Headers), len(a.Headers)),
		cmp.Compare(len(b.Params), len(a.Params)),
	)
}

func pathRank(kind PathKind) int {
	switch kind {
	case PathExact:
		return 0
	case PathRegex:
		return 1
	}
	return 2
}

// byGRPC: of as many characters, what is exact goes first.
func byGRPC(a, b *Match) int {
	return cmp.Or(
		cmp.Compare(b.service, a.service),
		cmp.Compare(b.method, a.method),
		first(a.Path.Kind != PathRegex, b.Path.Kind != PathRegex),
		cmp.Compare(len(b.Headers), len(a.Headers)),
	)
}

// first orders what holds before what does not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
