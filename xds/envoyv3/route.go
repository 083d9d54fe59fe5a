package envoyv3

// Route tables, virtual hosts, routes.

import (
	"strings"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// defaultDirectBody is max_direct_response_body_size_bytes.
const defaultDirectBody = 4096

// routeTable reads a table. Inline tables have to name known clusters unless
// they say otherwise; those of RDS only if they ask for it.
func (d *decoder) routeTable(p path, m *routev3.RouteConfiguration, inline bool) *config.RouteTable {
	t := &config.RouteTable{
		Name:                 m.GetName(),
		IgnorePortInHost:     m.GetIgnorePortInHostMatching(),
		IgnorePathParameters: m.GetIgnorePathParametersInPathMatching(),
		Headers:              d.headerOps(p, m),
		MostSpecificWins:     m.GetMostSpecificHeaderMutationsWins(),
		ValidateClusters:     orBool(m.GetValidateClusters(), inline),
		MaxDirectBody:        orUint32(m.GetMaxDirectResponseBodySizeBytes(), defaultDirectBody),
		Filters:              d.overrides(p.dot("typed_per_filter_config"), m.GetTypedPerFilterConfig()),
	}
	t.Mirrors = d.mirrors(p, m.GetRequestMirrorPolicies())
	if t.VHDS = d.vhds(p.dot("vhds"), m.GetVhds()); t.VHDS != nil && inline {
		d.refuse(p.dot("vhds"), "a route table of RDS alone can have virtual hosts on demand")
	}
	for _, name := range m.GetInternalOnlyHeaders() {
		t.InternalOnly = append(t.InternalOnly, strings.ToLower(name))
	}
	d.specifierNamed = d.specifiers(p.dot("cluster_specifier_plugins"), m.GetClusterSpecifierPlugins())
	domains := map[string]bool{}
	for i, v := range m.GetVirtualHosts() {
		pv := p.dot("virtual_hosts").at(i)
		t.VirtualHosts = append(t.VirtualHosts, d.virtualHost(pv, v, t))
		d.uniqueDomains(pv.dot("domains"), v.GetDomains(), t.Name, domains)
	}
	return t
}

// inlineTable reads a table that stands in what names it.
func (d *decoder) inlineTable(p path, m *routev3.RouteConfiguration) *config.RouteTable {
	if !d.tableFits(p, m) {
		return &config.RouteTable{Name: m.GetName()}
	}
	return d.routeTable(p, m, true)
}

// uniqueDomains reports domains that stand twice in a table
// (router/config_impl.cc, RouteMatcher).
func (d *decoder) uniqueDomains(p path, domains []string, table string, seen map[string]bool) {
	for i, domain := range domains {
		domain = strings.ToLower(domain)
		switch {
		case domain == "":
			d.refuse(p.at(i), "a domain must not be empty")
		case !seen[domain]:
		case domain == "*":
			d.refuse(p.at(i), "Only a single wildcard domain is permitted in route %s", table)
		default:
			d.refuse(p.at(i), "Only unique values for domains are permitted. Duplicate entry of domain %s in route %s", domain, table)
		}
		seen[domain] = true
	}
}

func (d *decoder) virtualHost(p path, m *routev3.VirtualHost, t *config.RouteTable) *config.VirtualHost {
	d.required(p.dot("name"), m.GetName())
	if len(m.GetDomains()) == 0 {
		d.refuse(p.dot("domains"), "value must contain at least 1 item(s)")
	}
	v := &config.VirtualHost{
		Name: m.GetName(), Headers: d.headerOps(p, m), Metadata: filterMetadata(m.GetMetadata()), Mirrors: d.mirrors(p, m.GetRequestMirrorPolicies()),
		Retry: d.retry(p.dot("retry_policy"), m.GetRetryPolicy()), Hedge: d.hedge(p.dot("hedge_policy"), m.GetHedgePolicy()),
		Body:         d.bodyLimit(p, m),
		AttemptCount: m.GetIncludeRequestAttemptCount(), AttemptCountInResponse: m.GetIncludeAttemptCountInResponse(),
		TimeoutRetryHeader: m.GetIncludeIsTimeoutRetryHeader(),
	}
	v.RateLimits = d.rateLimits(p.dot("rate_limits"), m.GetRateLimits())
	v.VirtualClusters = d.virtualClusters(p.dot("virtual_clusters"), m.GetVirtualClusters())
	v.Filters = d.hostCORS(p.dot("cors"), m, d.overrides(p.dot("typed_per_filter_config"), m.GetTypedPerFilterConfig()))
	for _, domain := range m.GetDomains() {
		v.Domains = append(v.Domains, strings.ToLower(domain))
	}
	switch m.GetRequireTls() {
	case routev3.VirtualHost_EXTERNAL_ONLY:
		v.TLS = config.TLSExternalOnly
	case routev3.VirtualHost_ALL:
		v.TLS = config.TLSAll
	}
	for i, r := range m.GetRoutes() {
		v.Routes = append(v.Routes, d.route(p.dot("routes").at(i), r, t))
	}
	if m.GetMatcher() != nil {
		d.routeMatcher(p, m, t, v)
	}
	return v
}

// routeMatcher reads a virtual host's tree; the texts are Envoy's (config_impl.cc, RouteActionValidationVisitor).
func (d *decoder) routeMatcher(p path, m *routev3.VirtualHost, t *config.RouteTable, v *config.VirtualHost) {
	if len(m.GetRoutes()) > 0 {
		d.refuse(p, "cannot set both matcher and routes on virtual host")
	}
	at := routeTree()
	at.action = func(p path, a *xdscorev3.TypedExtensionConfig) int {
		span := config.RouteSpan{From: len(v.Routes)}
		switch m := d.extension(p, routeAction, a.GetName(), a.GetTypedConfig()).(type) {
		case *routev3.Route:
			v.Routes = append(v.Routes, d.route(p, m, t))
		case *routev3.RouteList:
			for i, r := range m.GetRoutes() {
				v.Routes = append(v.Routes, d.route(p.dot("routes").at(i), r, t))
			}
		}
		span.To = len(v.Routes)
		v.Actions = append(v.Actions, span)
		return len(v.Actions) - 1
	}
	v.Matcher = d.matcher(p.dot("matcher"), m.GetMatcher(), at)
}

// routeTree is what trees of route tables may look at.
func routeTree() *treePlace {
	return &treePlace{
		input: requestInput,
		allowed: []string{
			"envoy.type.matcher.v3.HttpRequestHeaderMatchInput", "envoy.extensions.matching.common_inputs.network.v3.FilterStateInput",
		},
		refusal: "requirement violation while creating route match tree: INVALID_ARGUMENT: Route table can only match on request headers, saw %s",
	}
}

func (d *decoder) route(p path, m *routev3.Route, t *config.RouteTable) *config.Route {
	r := &config.Route{
		Name: m.GetName(), StatPrefix: m.GetStatPrefix(),
		Match:    d.routeMatch(p.dot("match"), m.GetMatch()),
		Headers:  d.headerOps(p, m),
		Metadata: filterMetadata(m.GetMetadata()), Typed: typedMetadata(m.GetMetadata()),
		Filters: d.overrides(p.dot("typed_per_filter_config"), m.GetTypedPerFilterConfig()),
		Body:    d.bodyLimit(p, m),
	}
	switch a := m.GetAction().(type) {
	case *routev3.Route_Route:
		f := d.forward(p.dot("route"), a.Route, m.GetName())
		d.pathRewritePolicy(p.dot("route"), a.Route, &r.Match, f)
		r.Filters = d.routeCORS(p.dot("route").dot("cors"), a.Route, r.Filters)
		r.Action = f
	case *routev3.Route_Redirect:
		r.Action = d.redirect(p.dot("redirect"), a.Redirect)
	case *routev3.Route_DirectResponse:
		r.Action = d.direct(p.dot("direct_response"), a.DirectResponse, t.MaxDirectBody)
	case nil:
		d.refuse(p, "one of route, redirect and direct_response is required")
	}
	return r
}

func (d *decoder) direct(p path, m *routev3.DirectResponseAction, limit uint32) *config.Direct {
	if m.GetStatus() < 200 || m.GetStatus() > 599 {
		d.refuse(p.dot("status"), "value must be inside range [200, 600)")
	}
	body, _ := d.fileText(p.dot("body"), m.GetBody())
	if len(body) > int(limit) {
		d.refuse(p.dot("body"), "response body size is %d bytes; maximum is %d", len(body), limit)
	}
	return &config.Direct{Status: int(m.GetStatus()), Body: body, Format: d.bodyFormat(p.dot("body_format"), m.GetBodyFormat())}
}

func (d *decoder) redirect(p path, m *routev3.RedirectAction) *config.Redirect {
	r := &config.Redirect{
		Status:     redirectStatus(m.GetResponseCode()),
		HTTPS:      m.GetHttpsRedirect(),
		Scheme:     m.GetSchemeRedirect(),
		Host:       m.GetHostRedirect(),
		Port:       m.GetPortRedirect(),
		StripQuery: m.GetStripQuery(),
	}
	if r.Port > 65535 {
		d.refuse(p.dot("port_redirect"), "must be at most 65535")
	}
	switch s := m.GetPathRewriteSpecifier().(type) {
	case *routev3.RedirectAction_PathRedirect:
		r.Path, r.HasPath = s.PathRedirect, true
	case *routev3.RedirectAction_PrefixRewrite:
		r.PrefixRewrite, r.HasPrefix = s.PrefixRewrite, true
	case *routev3.RedirectAction_RegexRewrite:
		r.RegexRewrite = d.rewrite(p.dot("regex_rewrite"), s.RegexRewrite)
	}
	return r
}

func redirectStatus(c routev3.RedirectAction_RedirectResponseCode) int {
	switch c {
	case routev3.RedirectAction_FOUND:
		return 302
	case routev3.RedirectAction_SEE_OTHER:
		return 303
	case routev3.RedirectAction_TEMPORARY_REDIRECT:
		return 307
	case routev3.RedirectAction_PERMANENT_REDIRECT:
		return 308
	}
	return 301
}
