// Package route decides what happens to an HTTP request: it compiles a config.RouteTable into a Table and answers, per
// request, which route is taken, to which cluster, with which hash, path, host and headers, or what is answered at once.
//
//	Request ──▶ domains ──▶ virtual host ──▶ require_tls ──▶ (tree ──▶) routes in file order ──▶ *Route (nil: 404, NR)
//	                                                                                    │
//	      Forward ── Cluster ──▶ C and *Target ── Apply(RequestOps) ── AppendHost ── AppendPath ── Hash
//	      Redirect ─ AppendLocation ┐
//	      Direct ─── Body ──────────┴─ Apply(ResponseOps)
//
// It reproduces Envoy v1.36 (source/common/router/config_impl.cc, weighted_cluster_specifier.cc, header_parser.cc;
// source/common/http/header_utility.cc, hash_policy.cc, utility.cc). A table is immutable: any goroutine may use it and
// all that it hands out. It holds clusters, not their names, so it must be compiled again when a cluster comes or goes.
// No call allocates while a request is routed by prefix, exact path, exact headers and one weighted choice; regular
// expressions, headers of several lines and clusters named by a header may.
package route

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/match/tree"
)

// Table is a compiled route table over clusters of type C. Any goroutine.
type Table[C comparable] struct {
	Name    string
	domains domains
	hosts   []*virtualHost[C]
	// cutParams: ignore_path_parameters_in_path_matching.
	cutParams bool
	// Overrides are the distinct sets of what the levels above a target say of
	// filters, each most specific first: Route.Overrides and Target.Overrides.
	Overrides [][][]config.FilterOverride

	// InternalOnly are headers that are taken from requests that are not internal, in lower case.
	InternalOnly []string

	asked *config.RouteTable
	sets  overrideSets // of Overrides
}

// virtualHost keeps what is looked at for every candidate (rules) apart from what only the chosen route needs.
type virtualHost[C comparable] struct {
	tls    config.RequireTLS
	toTLS  *Route[C]
	rules  []rule
	routes []*Route[C] // routes[i] is what to do if rules[i] holds
	index  *index      // nil: there are few rules, or a tree
	// tree, unless it is nil, says which rules are tried: those of actions[action].
	tree    *tree.Tree
	actions []config.RouteSpan

	asked  *config.VirtualHost
	common *hostCommon[C]
}

// Compile builds a table, or says why Envoy would refuse it, in Envoy's words. resolve gives the living cluster of a name;
// it is called while compiling and, for clusters named by a request header, by whoever calls Route.Cluster, so it must be
// safe for any goroutine and must not keep its argument.
func Compile[C comparable](t *config.RouteTable, resolve func(name string) (C, bool)) (*Table[C], error) {
	return Recompile(nil, t, false, resolve)
}

// Match finds the route of a request: nil means 404 with flag NR. random is the request's one random number (Envoy's
// stream random); the same must be given to Route.Cluster.
func (t *Table[C]) Match(r *Request, random uint64) *Route[C] {
	i := t.domains.find(r.Host)
	if i < 0 {
		return nil
	}
	h := t.hosts[i]
	if h.tls != config.TLSNone && h.needsTLS(r) {
		return h.toTLS
	}
	path := withoutQuery(r.Path)
	if t.cutParams {
		path = withoutParams(path)
	}
	at := -1
	switch {
	case h.tree != nil:
		at = h.branch(r, path, random)
	case h.index != nil:
		at = h.index.match(h.rules, r, path, random)
	default:
		at = matchAll(h.rules, r, path, random)
	}
	if at < 0 {
		return nil
	}
	return h.routes[at]
}

// branch finds the first rule that holds of those that the tree leads to; -1: none
// (VirtualHostImpl::getRouteFromEntries).
func (h *virtualHost[C]) branch(r *Request, path []byte, random uint64) int {
	facts := tree.OfRequest(r)
	action, verdict := h.tree.Match(&facts)
	if verdict != tree.Found {
		return -1
	}
	s := h.actions[action]
	if at := matchAll(h.rules[s.From:s.To], r, path, random); at >= 0 {
		return s.From + at
	}
	return -1
}

// needsTLS reports whether the request is answered with 301 to https (VirtualHostImpl::getRouteFromEntries): what counts
// is x-forwarded-proto, not the connection.
func (h *virtualHost[C]) needsTLS(r *Request) bool {
	if string(r.ForwardedProto) == "https" {
		return false
	}
	return h.tls == config.TLSAll || !r.Internal
}
