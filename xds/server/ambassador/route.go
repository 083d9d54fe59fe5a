package ambassador

// Route tables of http and grpc ports.

import (
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/discovery"
)

// routeTable has a virtual host for each host that routes name, in their order,
// and one for all others. Routes without a host stand in each, after its own;
// the port's service comes last. Where routes of the Gateway API are for a
// service, they stand in place of what the port would do with it.
func (p *Port) routeTable(client Client, namespace string) *routev3.RouteConfiguration {
	table := &routev3.RouteConfiguration{Name: p.Name}
	for _, host := range p.hosts() {
		v := &routev3.VirtualHost{Name: host, Domains: []string{host}}
		for i := range p.Routes {
			if route := &p.Routes[i]; route.Host != "" && strings.ToLower(route.Host) == host {
				v.Routes = append(v.Routes, p.routes(route, route.Service, client, namespace)...)
			}
		}
		for i := range p.Routes {
			if p.Routes[i].Host == "" {
				v.Routes = append(v.Routes, p.routes(&p.Routes[i], p.Routes[i].Service, client, namespace)...)
			}
		}
		if p.Service.Source != "" {
			v.Routes = append(v.Routes, p.routes(&Route{target: p.clusters[0]}, p.Service, client, namespace)...)
		}
		if len(v.Routes) > 0 {
			table.VirtualHosts = append(table.VirtualHosts, v)
		}
	}
	return table
}

// hosts are those that routes name, each once, and "*".
func (p *Port) hosts() (all []string) {
	seen := map[string]bool{"*": true}
	for _, route := range p.Routes {
		if host := strings.ToLower(route.Host); host != "" && !seen[host] {
			seen[host] = true
			all = append(all, host)
		}
	}
	return append(all, "*")
}

// routes are the file's route, or those of the Gateway API.
func (p *Port) routes(r *Route, service discovery.Service, client Client, namespace string) []*routev3.Route {
	if of := p.routed[service]; of != nil && r.wholeHost() {
		if s := of.scopeFor(namespace); s != nil {
			return p.gatewayRoutes(s, of.at, r, client)
		}
	}
	return []*routev3.Route{p.route(r)}
}

func (p *Port) route(r *Route) *routev3.Route {
	match := &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: r.Prefix}}
	switch {
	case r.Path != "":
		match.PathSpecifier = &routev3.RouteMatch_Path{Path: r.Path}
	case r.Prefix == "":
		match.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: "/"}
	}
	action := &routev3.RouteAction{
		ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: r.target.name},
		Timeout:          durationpb.New(p.Timeouts.Request), // 0 is none
		HashPolicy:       p.hashPolicy(),
		RetryPolicy:      p.retryPolicy(),
	}
	if r.Timeout > 0 {
		action.Timeout = durationpb.New(r.Timeout)
	}
	if r.RewritePrefix != nil {
		action.PrefixRewrite = *r.RewritePrefix
	}
	if r.RewriteHost != "" {
		action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: r.RewriteHost}
	}
	return &routev3.Route{Match: match, Action: &routev3.Route_Route{Route: action}}
}

func (p *Port) hashPolicy() []*routev3.RouteAction_HashPolicy {
	if p.Sharding == nil {
		return nil
	}
	policy := &routev3.RouteAction_HashPolicy{}
	switch key := p.Sharding.Key; key.kind {
	case "header":
		policy.PolicySpecifier = &routev3.RouteAction_HashPolicy_Header_{Header: &routev3.RouteAction_HashPolicy_Header{HeaderName: key.name}}
	case "cookie":
		policy.PolicySpecifier = &routev3.RouteAction_HashPolicy_Cookie_{Cookie: &routev3.RouteAction_HashPolicy_Cookie{Name: key.name}}
	case "query":
		policy.PolicySpecifier = &routev3.RouteAction_HashPolicy_QueryParameter_{QueryParameter: &routev3.RouteAction_HashPolicy_QueryParameter{Name: key.name}}
	case "source_ip":
		policy.PolicySpecifier = &routev3.RouteAction_HashPolicy_ConnectionProperties_{ConnectionProperties: &routev3.RouteAction_HashPolicy_ConnectionProperties{SourceIp: true}}
	}
	return []*routev3.RouteAction_HashPolicy{policy}
}

// retryPolicy repeats, if nothing else is said, what has not reached an instance.
func (p *Port) retryPolicy() *routev3.RetryPolicy {
	r := p.Retries
	if r == nil {
		return nil
	}
	on := r.On
	if len(on) == 0 {
		on = []string{"connect-failure", "refused-stream"}
		if p.Protocol == ProtocolGRPC {
			on = []string{"unavailable"}
		}
	}
	return &routev3.RetryPolicy{
		RetryOn: strings.Join(on, ","), NumRetries: wrapperspb.UInt32(r.Attempts),
		PerTryTimeout: positiveTime(r.PerTry),
	}
}

func positiveTime(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

// http2 asks an instance in HTTP/2.
func http2() *corev3.Http2ProtocolOptions { return &corev3.Http2ProtocolOptions{} }
