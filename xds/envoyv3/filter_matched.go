package envoyv3

// Filters that a tree lets run or skips, and the composite filter (match_delegate/config.cc, composite/action.cc).

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	matchingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/matching/v3"
	actionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/matcher/action/v3"
	compositev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/composite/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func matchedTables() []table {
	return []table{
		{of: &matchingv3.ExtensionWithMatcher{}, honoured: "matcher xds_matcher extension_config", strict: true},
		{of: &matchingv3.ExtensionWithMatcherPerRoute{}, honoured: "xds_matcher", strict: true},
		{of: &compositev3.Composite{}, honoured: "named_filter_chains", strict: true},
		{of: &compositev3.DynamicConfig{}, honoured: "name config_discovery", strict: true},
		{of: &compositev3.FilterChainConfiguration{}, honoured: "typed_config", strict: true},
		{
			of: &compositev3.ExecuteFilterAction{}, honoured: "typed_config filter_chain filter_chain_name sample_percent", strict: true,
			partly: notes{"dynamic_config": "in a listener's filters, not in what a route says of them"},
		},
		{of: &actionv3.SkipFilter{}},
	}
}

func (d *decoder) matched(p path, m *matchingv3.ExtensionWithMatcher) *config.Matched {
	out := &config.Matched{}
	e, pe := m.GetExtensionConfig(), p.dot("extension_config").dot("typed_config")
	inner := d.extension(pe, httpFilter, e.GetName(), e.GetTypedConfig())
	if inner == nil {
		return out
	}
	if _, terminal := inner.(*routerv3.Router); terminal {
		d.never(pe, "the router is behind all filters")
		return out
	}
	out.Inner = config.HTTPFilter{Name: e.GetName(), Config: d.filterConfig(pe, inner)}
	composite, isComposite := inner.(*compositev3.Composite)
	at := d.filterTree(composite, isComposite, &out.MatchedRoute)
	if m.GetXdsMatcher() != nil {
		out.Tree = d.matcher(p.dot("xds_matcher"), m.GetXdsMatcher(), at)
	} else {
		out.Tree = d.commonMatcher(p.dot("matcher"), m.GetMatcher(), at)
	}
	return out
}

func (d *decoder) matchedRoute(p path, m *matchingv3.ExtensionWithMatcherPerRoute) *config.MatchedRoute {
	out := &config.MatchedRoute{}
	at := d.filterTree(nil, true, out)
	at.allowed = []string{"envoy.type.matcher.v3.HttpRequestHeaderMatchInput", "xds.type.matcher.v3.HttpAttributesCelMatchInput"}
	at.refusal = "requirement violation while creating match tree: INVALID_ARGUMENT: data input typeUrl %s not permitted according to allowlist"
	out.Tree = d.matcher(p.dot("xds_matcher"), m.GetXdsMatcher(), at)
	return out
}

// filterTree reads actions into out; composite has the chains that they may name.
func (d *decoder) filterTree(composite *compositev3.Composite, isComposite bool, out *config.MatchedRoute) *treePlace {
	at := &treePlace{input: requestInput}
	at.action = func(p path, a *xdscorev3.TypedExtensionConfig) int {
		action := config.MatchedAction{Name: a.GetName()}
		switch m := d.extension(p, filterAction, a.GetName(), a.GetTypedConfig()).(type) {
		case *actionv3.SkipFilter:
			action.Skip = true
		case *compositev3.ExecuteFilterAction:
			if !isComposite {
				d.never(p, "filters are run by the composite filter alone")
			}
			d.execute(p, m, composite, &action)
		}
		out.Actions = append(out.Actions, action)
		return len(out.Actions) - 1
	}
	return at
}

// execute reads the filters of an action.
func (d *decoder) execute(p path, m *compositev3.ExecuteFilterAction, composite *compositev3.Composite, a *config.MatchedAction) {
	if m.GetSamplePercent() != nil {
		a.Share = d.fraction(m.GetSamplePercent())
	}
	said := 0
	if m.GetTypedConfig() != nil {
		said++
		a.Filters = d.delegated(p.dot("typed_config"), m.GetTypedConfig())
	}
	if m.GetFilterChain() != nil {
		said++
		for i, f := range m.GetFilterChain().GetTypedConfig() {
			a.Filters = append(a.Filters, d.delegated(p.dot("filter_chain").dot("typed_config").at(i), f)...)
		}
	}
	if name := m.GetFilterChainName(); name != "" {
		said++
		chain, ok := composite.GetNamedFilterChains()[name]
		if !ok {
			d.refuse(p.dot("filter_chain_name"), "the composite filter has no chain of the name '%s'", name)
		}
		for i, f := range chain.GetTypedConfig() {
			a.Filters = append(a.Filters, d.delegated(p.dot("filter_chain_name").at(i), f)...)
		}
	}
	if m.GetDynamicConfig() != nil {
		said++
		a.Filters = append(a.Filters, d.dynamic(p.dot("dynamic_config"), m.GetDynamicConfig(), composite == nil))
	}
	if said != 1 {
		d.refuse(p, "one of typed_config, dynamic_config, filter_chain and filter_chain_name is required")
	}
}

// dynamic reads a filter that comes by discovery.
func (d *decoder) dynamic(p path, m *compositev3.DynamicConfig, ofRoute bool) config.HTTPFilter {
	if ofRoute {
		d.never(p, "in what a route says of a filter: give typed_config")
	}
	return config.HTTPFilter{Name: m.GetName(), Discovery: d.discovered(p.dot("config_discovery"), m.GetName(), m.GetConfigDiscovery())}
}

// delegated reads one filter.
func (d *decoder) delegated(p path, f *corev3.TypedExtensionConfig) []config.HTTPFilter {
	p = p.dot("typed_config")
	m := d.extension(p, httpFilter, f.GetName(), f.GetTypedConfig())
	if m == nil {
		return nil
	}
	if _, terminal := m.(*routerv3.Router); terminal {
		d.never(p, "the router is behind all filters")
		return nil
	}
	return []config.HTTPFilter{{Name: f.GetName(), Config: d.filterConfig(p, m)}}
}
