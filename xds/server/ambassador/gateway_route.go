package ambassador

// Rules of the Gateway API as Envoy's routes.

import (
	"cmp"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/xds/server/gateway"
)

// gatewayRoutes are the routes of a scope, in its order; r is what the port would
// do in their place.
func (p *Port) gatewayRoutes(s *scope, at gateway.Frontend, r *Route, client Client) (all []*routev3.Route) {
	for i := range s.Matches {
		m := &s.Matches[i]
		route := &routev3.Route{Name: m.Name, Match: routeMatch(m, s.Kind, client)}
		if client == GRPC && beyondGRPC(m) {
			// What a gRPC library would pass over is not served: a call that
			// the match fits fails as UNAVAILABLE (gRFC A28).
			route.Action = &routev3.Route_NonForwardingAction{NonForwardingAction: &routev3.NonForwardingAction{}}
			all = append(all, route)
			continue
		}
		if m.Rule.Redirect != nil {
			route.Action = &routev3.Route_Redirect{Redirect: redirectAction(m, at)}
			decorate(route, m.Rule)
			all = append(all, route)
			continue
		}
		sum := uint32(0)
		for _, b := range m.Rule.Backends {
			sum += b.Weight
		}
		if m.Rule.Broken > 0 || sum == 0 {
			all = append(all, brokenRoute(route, s.Kind, m.Rule.Broken, sum, client))
		}
		if sum > 0 {
			route.Action = &routev3.Route_Route{Route: p.gatewayAction(s, m, r, client)}
			decorate(route, m.Rule)
			all = append(all, route)
		}
	}
	return all
}

// beyondGRPC says that a rule asks for what gRPC libraries cannot do.
func beyondGRPC(m *gateway.Match) bool {
	r := m.Rule
	if changed(r.Request) || changed(r.Response) || r.Redirect != nil || r.Rewrite != (gateway.Rewrite{}) ||
		len(r.Mirrors) > 0 || r.CORS != nil || len(m.Params) > 0 || r.TryTimeout != nil {
		return true
	}
	for _, b := range r.Backends {
		if changed(b.Request) || changed(b.Response) || b.Host != "" {
			return true
		}
	}
	return false
}

// brokenRoute answers the part of the requests that is for invalid backends; all
// if there are no others.
func brokenRoute(like *routev3.Route, kind gateway.Kind, broken, good uint32, client Client) *routev3.Route {
	route := proto.Clone(like).(*routev3.Route)
	if good > 0 {
		part := uint64(broken) * 1_000_000 / (uint64(broken) + uint64(good))
		route.Match.RuntimeFraction = &corev3.RuntimeFractionalPercent{DefaultValue: millionths(uint32(part))}
	}
	status := uint32(500)
	if kind == gateway.GRPCRoute {
		status = 503 // which is UNAVAILABLE
	}
	route.Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: status}}
	if client == GRPC {
		route.Action = &routev3.Route_NonForwardingAction{NonForwardingAction: &routev3.NonForwardingAction{}}
	}
	return route
}

func millionths(n uint32) *typev3.FractionalPercent {
	return &typev3.FractionalPercent{Numerator: n, Denominator: typev3.FractionalPercent_MILLION}
}

// gatewayAction sends to the rule's backends.
func (p *Port) gatewayAction(s *scope, m *gateway.Match, r *Route, client Client) *routev3.RouteAction {
	rule := m.Rule
	action := &routev3.RouteAction{HashPolicy: p.hashPolicy()}
	p.destination(s, rule, action)
	p.times(rule, r, action, client)
	if r.RewriteHost != "" {
		action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: r.RewriteHost}
	}
	if rule.Rewrite.Host != "" {
		action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: rule.Rewrite.Host}
	}
	action.PrefixRewrite, action.RegexRewrite = pathChange(rule.Rewrite.Path, m.Path)
	for _, mirror := range rule.Mirrors {
		action.RequestMirrorPolicies = append(action.RequestMirrorPolicies, &routev3.RouteAction_RequestMirrorPolicy{
			Cluster:         s.targets[p.backend(&mirror.To)].name,
			RuntimeFraction: &corev3.RuntimeFractionalPercent{DefaultValue: millionths(mirror.Millionth)},
		})
	}
	return action
}

// destination is one cluster where that will do.
func (p *Port) destination(s *scope, rule *gateway.Rule, action *routev3.RouteAction) {
	if b := &rule.Backends[0]; len(rule.Backends) == 1 && b.Host == "" && !changed(b.Request) && !changed(b.Response) {
		action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: s.targets[p.backend(b)].name}
		return
	}
	weighted := &routev3.WeightedCluster{}
	for i := range rule.Backends {
		b := &rule.Backends[i]
		one := &routev3.WeightedCluster_ClusterWeight{
			Name: s.targets[p.backend(b)].name, Weight: wrapperspb.UInt32(b.Weight),
			RequestHeadersToAdd: headerOptions(b.Request), RequestHeadersToRemove: b.Request.Remove,
			ResponseHeadersToAdd: headerOptions(b.Response), ResponseHeadersToRemove: b.Response.Remove,
		}
		if b.Host != "" {
			one.HostRewriteSpecifier = &routev3.WeightedCluster_ClusterWeight_HostRewriteLiteral{HostRewriteLiteral: b.Host}
		}
		weighted.Clusters = append(weighted.Clusters, one)
	}
	action.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted}
}

func changed(h gateway.Headers) bool { return len(h.Set)+len(h.Add)+len(h.Remove) > 0 }

// times are timeouts and retries. Without retries the time of a try is that of
// the request.
func (p *Port) times(rule *gateway.Rule, r *Route, action *routev3.RouteAction, client Client) {
	request := cmp.Or(r.Timeout, p.Timeouts.Request)
	if rule.Timeout != nil {
		request = *rule.Timeout
	}
	try := time.Duration(0)
	if rule.TryTimeout != nil {
		try = *rule.TryTimeout
		if rule.Timeout == nil && request != 0 && (try == 0 || try > request) {
			request = try
		}
	}
	policy := p.retryPolicy()
	if rule.Retry != nil {
		policy = retryRule(rule.Retry)
		if client == GRPC {
			policy.RetryOn = "unavailable"
			policy.RetriableStatusCodes = nil
		}
	}
	if policy != nil && rule.TryTimeout != nil {
		policy.PerTryTimeout = positiveTime(try)
	}
	if policy == nil && try != 0 && (request == 0 || try < request) {
		request = try
	}
	action.Timeout, action.RetryPolicy = durationpb.New(request), policy
	if client == GRPC && rule.Timeout != nil { // which goes by this alone (gRFC A31)
		action.MaxStreamDuration = &routev3.RouteAction_MaxStreamDuration{MaxStreamDuration: durationpb.New(request)}
	}
}

func retryRule(r *gateway.Retry) *routev3.RetryPolicy {
	policy := &routev3.RetryPolicy{
		RetryOn: "connect-failure,refused-stream,reset", NumRetries: wrapperspb.UInt32(r.Attempts), RetriableStatusCodes: r.Codes,
	}
	if len(r.Codes) > 0 {
		policy.RetryOn += ",retriable-status-codes"
	}
	if r.Backoff > 0 {
		policy.RetryBackOff = &routev3.RetryPolicy_RetryBackOff{BaseInterval: durationpb.New(r.Backoff)}
	}
	return policy
}

// decorate is what goes with every action of a rule.
func decorate(route *routev3.Route, rule *gateway.Rule) {
	route.RequestHeadersToAdd, route.RequestHeadersToRemove = headerOptions(rule.Request), rule.Request.Remove
	route.ResponseHeadersToAdd, route.ResponseHeadersToRemove = headerOptions(rule.Response), rule.Response.Remove
	if rule.CORS != nil {
		route.TypedPerFilterConfig = map[string]*anypb.Any{corsFilter: packed(corsPolicy(rule.CORS))}
	}
}

// headerOptions: a % of a value is none of Envoy's substitutions.
func headerOptions(h gateway.Headers) (all []*corev3.HeaderValueOption) {
	add := func(headers []gateway.Header, how corev3.HeaderValueOption_HeaderAppendAction) {
		for _, x := range headers {
			all = append(all, &corev3.HeaderValueOption{
				Header: &corev3.HeaderValue{Key: x.Name, Value: strings.ReplaceAll(x.Value, "%", "%%")}, AppendAction: how, KeepEmptyValue: true,
			})
		}
	}
	add(h.Set, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD)
	add(h.Add, corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD)
	return all
}
