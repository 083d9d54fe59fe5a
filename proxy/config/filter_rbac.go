package config

import "net/netip"

// RBAC is the role based access control filter, and what a route says of it
// (Envoy extensions.filters.http.rbac.v3.RBAC).
type RBAC struct {
	// Rules are enforced, Shadow are tried and noted; nil: none.
	Rules, Shadow *RBACRules
	// Prefixes of the names of their statistics, and of what Shadow notes.
	RulesPrefix, ShadowPrefix string
	// PerPolicy counts for each policy too.
	PerPolicy bool
}

// RBACRules are policies with what is done to whom one of them fits.
type RBACRules struct {
	Action   RBACAction
	Policies []RBACPolicy // in the order of their names
	// Matcher, unless it is nil, decides in their place: an action of it is an index
	// in Verdicts, and none denies.
	Matcher  *Matcher
	Verdicts []RBACVerdict
}

// RBACVerdict is what a tree says: as if a policy of that name had fitted.
type RBACVerdict struct {
	Name   string
	Action RBACAction
}

// RBACAction is what is done to a request that a policy fits.
type RBACAction uint8

// The actions. RBACLog lets all pass and notes which were fitted.
const (
	RBACAllow RBACAction = iota
	RBACDeny
	RBACLog
)

// RBACPolicy fits a request if one of Permissions and one of Principals does.
type RBACPolicy struct {
	Name                    string
	Permissions, Principals []RBACRule
	// Condition is a CEL expression that has to be true, too; "" for none.
	Condition string
}

// RBACRule is a condition on a request.
type RBACRule struct {
	Kind   RBACKind
	Of     []RBACRule  // RBACAnd, RBACOr; one of RBACNot
	Header HeaderMatch // RBACHeader
	// String is that of RBACPath, RBACServerName, RBACAuthenticated (if HasString)
	// and RBACState.
	String    StringMatch
	HasString bool
	CIDR      netip.Prefix // the kinds of address
	// From and To bound a port, both included.
	From, To uint16
	Key      string // RBACState
	// Metadata is that of RBACMetadata and, of the request's route,
	// RBACRouteMetadata.
	Metadata *MetadataMatch
}

// RBACKind is the kind of a condition.
type RBACKind uint8

// The kinds of condition.
const (
	RBACAny RBACKind = iota
	RBACAnd
	RBACOr
	RBACNot
	RBACHeader
	RBACPath          // the path without its query
	RBACPort          // of the connection's own end
	RBACLocal         // address of the connection's own end
	RBACRemote        // address of the client, by x-forwarded-for
	RBACDirect        // address of the connection's other end
	RBACServerName    // that TLS asked for
	RBACAuthenticated // by a certificate; String is on its names
	RBACState         // an object of filter state, by its text
	RBACMetadata
	RBACRouteMetadata
)
