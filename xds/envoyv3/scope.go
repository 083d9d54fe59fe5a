package envoyv3

// Scoped routes: the key of a request, and the tables by key
// (source/common/router/scoped_rds.cc, scoped_config_impl.cc).

import (
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

// maxScopes bounds the scopes that stand in a connection manager.
const maxScopes = 10_000

func scopeTables() []table {
	return []table{
		{
			of:       &hcmv3.ScopedRoutes{},
			honoured: "name scope_key_builder rds_config_source scoped_route_configurations_list scoped_rds",
		},
		{of: &hcmv3.ScopedRoutes_ScopeKeyBuilder{}, honoured: "fragments"},
		{of: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder{}, honoured: "header_value_extractor"},
		{
			of:       &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor{},
			honoured: "name element_separator index element",
		},
		{
			of:       &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_KvElement{},
			honoured: "separator key",
		},
		{of: &hcmv3.ScopedRouteConfigurationsList{}, honoured: "scoped_route_configurations"},
		{
			of:     &hcmv3.ScopedRds{},
			partly: notes{"scoped_rds_config_source": "all connection managers have the same scopes, from the same source"},
			never:  notes{"srds_resources_locator": hintXDSTP},
		},
		{
			of:       &routev3.ScopedRouteConfiguration{},
			honoured: "name route_configuration_name route_configuration key on_demand",
		},
		{of: &routev3.ScopedRouteConfiguration_Key{}, honoured: "fragments"},
		{of: &routev3.ScopedRouteConfiguration_Key_Fragment{}, honoured: "string_key"},
	}
}

func (d *decoder) scopedRoutes(p path, m *hcmv3.ScopedRoutes) *config.Scopes {
	s := &config.Scopes{Name: m.GetName()}
	for i, f := range m.GetScopeKeyBuilder().GetFragments() {
		s.Key = append(s.Key, d.keyPart(p.dot("scope_key_builder").dot("fragments").at(i), f))
	}
	if m.GetRdsConfigSource() != nil {
		s.RouteSource = d.source(p.dot("rds_config_source"), m.GetRdsConfigSource())
	}
	switch from := m.GetConfigSpecifier().(type) {
	case *hcmv3.ScopedRoutes_ScopedRouteConfigurationsList:
		s.Inline = d.inlineScopes(p.dot("scoped_route_configurations_list").dot("scoped_route_configurations"),
			from.ScopedRouteConfigurationsList.GetScopedRouteConfigurations())
	case *hcmv3.ScopedRoutes_ScopedRds:
		p := p.dot("scoped_rds").dot("scoped_rds_config_source")
		s.Source = d.source(p, from.ScopedRds.GetScopedRdsConfigSource())
		if m.GetRdsConfigSource() == nil {
			s.RouteSource = s.Source
		}
	}
	return s
}

func (d *decoder) keyPart(p path, m *hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder) config.KeyPart {
	p = p.dot("header_value_extractor")
	e := m.GetHeaderValueExtractor()
	k := config.KeyPart{Header: strings.ToLower(e.GetName()), Between: e.GetElementSeparator()}
	switch from := e.GetExtractType().(type) {
	case *hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_Index:
		if k.Index = from.Index; k.Index != 0 && k.Between == "" {
			d.refuse(p, "Index > 0 for empty string element separator.")
		}
	case *hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_Element:
		k.ByName, k.Element, k.Equals = true, from.Element.GetKey(), from.Element.GetSeparator()
	default:
		d.refuse(p, "HeaderValueExtractor extract_type not set.")
	}
	return k
}

// inlineScopes reads those that stand in a connection manager: their tables do, too.
func (d *decoder) inlineScopes(p path, all []*routev3.ScopedRouteConfiguration) []*config.Scope {
	out := []*config.Scope{}
	if !d.atMost(p, len(all), maxScopes, "scopes") {
		return out
	}
	for i, m := range all {
		s, p := d.scope(p.at(i), m), p.at(i)
		switch {
		case s.Table != "":
			d.refuse(p.dot("route_configuration_name"), "Fetching routes via RDS (route_configuration_name) is not supported with inline scoped routes.")
		case s.Routes == nil:
			d.refuse(p, "You must specify a route_configuration with inline scoped routes.")
		default:
			out = append(out, s)
		}
	}
	return out
}

func (d *decoder) scope(p path, m *routev3.ScopedRouteConfiguration) *config.Scope {
	s := &config.Scope{Name: m.GetName(), Table: m.GetRouteConfigurationName(), OnDemand: m.GetOnDemand()}
	for _, f := range m.GetKey().GetFragments() {
		s.Key = append(s.Key, f.GetStringKey())
	}
	if m.GetRouteConfiguration() != nil {
		s.Routes = d.inlineTable(p.dot("route_configuration"), m.GetRouteConfiguration())
	}
	return s
}

// Scope decodes m, a scope of SRDS, which stands at path. The value is only meant for
// use if no problem is more than a warning.
func Scope(path string, m *routev3.ScopedRouteConfiguration, o Options) (*config.Scope, []Problem) {
	d := &decoder{opts: o}
	p := root(path)
	d.begin(p, m)
	s := d.scope(p, m)
	if s.Routes == nil && s.Table == "" {
		d.refuse(p.dot("route_configuration_name"), "route_configuration_name is empty.")
	}
	if s.Routes != nil {
		s.Table, s.OnDemand = "", false // the table that stands in it is taken (scoped_rds.cc)
	}
	return s, d.end()
}
