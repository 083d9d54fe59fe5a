package config

import "regexp"

// MutationRules say which headers a service may change
// (Envoy config.common.mutation_rules.v3.HeaderMutationRules).
type MutationRules struct {
	// Routing allows host, :authority, :scheme and :method, Envoy what begins with
	// x-envoy-.
	Routing, Envoy bool
	// NoSystem forbids what begins with ":", NoAll everything.
	NoSystem, NoAll bool
	// Allow and Disallow match whole names in lower case and come before all that;
	// nil: none.
	Allow, Disallow *regexp.Regexp
	// Strict makes a change that is not allowed an error; else it is left out.
	Strict bool
}
