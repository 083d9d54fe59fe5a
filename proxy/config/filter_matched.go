package config

// Matched is a filter that a tree lets run, skips or, if it is a Composite, gives
// something to do (Envoy extensions.common.matching.v3.ExtensionWithMatcher).
type Matched struct {
	Inner HTTPFilter
	MatchedRoute
}

// MatchedRoute is the tree, and what a route puts in its place
// (ExtensionWithMatcherPerRoute). An action of Tree is an index in Actions; without
// Tree the filter is skipped.
type MatchedRoute struct {
	Tree    *Matcher
	Actions []MatchedAction
}

// MatchedAction skips the filter or, of a Composite, runs Filters for a Share of
// requests; nil: all.
type MatchedAction struct {
	Skip    bool
	Name    string // for filter state
	Filters []HTTPFilter
	Share   *Fraction
}

// Composite does nothing by itself.
type Composite struct{}
