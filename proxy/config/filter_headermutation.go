package config

// HeaderMutationFilter is the header mutation filter
// (Envoy extensions.filters.http.header_mutation.v3.HeaderMutation).
type HeaderMutationFilter struct {
	Mutations
	// MostSpecificWins runs the mutations of routes last.
	MostSpecificWins bool
}

// Mutations are the changes of one level; a route's are *Mutations.
type Mutations struct {
	Request, Response                 []HeaderMutation
	RequestTrailers, ResponseTrailers []HeaderMutation
	Query                             []QueryMutation
}

// HeaderMutation is one change: exactly one of its fields is given.
type HeaderMutation struct {
	Remove      string // lower case
	RemoveMatch *StringMatch
	Add         *HeaderValue
}

// QueryMutation is one change to query parameters: Remove, or Key with a value.
type QueryMutation struct {
	Remove string
	Key    string
	Value  string
	Append AppendAction
}
