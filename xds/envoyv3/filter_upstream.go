package envoyv3

// Filters of attempts: those of a cluster (HttpProtocolOptions.http_filters) and of a
// router (upstream_http_filters).

import (
	admissionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/admission_control/v3"
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	codecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
)

// upstreamFilterExtensions are the filters that Envoy has for attempts, and that are built.
func upstreamFilterExtensions() []extension {
	return []extension{
		{upstreamFilter, "envoy.filters.http.admission_control", func() proto.Message { return &admissionv3.AdmissionControl{} }},
		{upstreamFilter, "envoy.filters.http.buffer", func() proto.Message { return &bufferv3.Buffer{} }},
		{upstreamFilter, "envoy.filters.http.header_mutation", func() proto.Message { return &headermutationv3.HeaderMutation{} }},
		{upstreamFilter, "envoy.filters.http.lua", func() proto.Message { return &luav3.Lua{} }},
		{upstreamFilter, codecName, func() proto.Message { return &codecv3.UpstreamCodec{} }},
	}
}

const codecName = "envoy.filters.http.upstream_codec"

func upstreamFilterTables() []table { return []table{{of: &codecv3.UpstreamCodec{}}} }

// alsoUpstream says whether Envoy has a filter for attempts, too, that is built here for
// requests alone.
func alsoUpstream(typeName string) bool {
	switch typeName {
	case "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor", "envoy.extensions.filters.http.composite.v3.Composite",
		"envoy.extensions.common.matching.v3.ExtensionWithMatcher", "envoy.extensions.filters.http.wasm.v3.Wasm":
		return true
	}
	return false
}

// clusterFilters reads a cluster's; the text is Envoy's (FilterChainUtility::
// checkUpstreamHttpFiltersList).
func (d *decoder) clusterFilters(p path, filters []*hcmv3.HttpFilter) []config.HTTPFilter {
	if n := len(filters); n > 0 && filters[n-1].GetConfigDiscovery() == nil {
		codec := string((&codecv3.UpstreamCodec{}).ProtoReflect().Descriptor().FullName())
		if typeName, _, _ := unwrap(filters[n-1].GetTypedConfig()); typeName != codec {
			d.refuse(p.at(n-1), "The codec filter is the only valid terminal upstream HTTP filter, use '%s'", codec)
			return nil
		}
	}
	for i, f := range filters {
		if f.GetConfigDiscovery() != nil {
			d.never(p.at(i).dot("config_discovery"), "give typed_config: a cluster's filters stand where it does")
			return nil
		}
	}
	return d.upstreamFilters(p, filters, "upstream http", "")
}

// routerFilters reads a router's.
func (d *decoder) routerFilters(p path, filters []*hcmv3.HttpFilter) []config.HTTPFilter {
	return d.upstreamFilters(p, filters, "router upstream http",
		" When upstream_http_filters are specified, they must explicitly end with an UpstreamCodec filter.")
}

// upstreamFilters reads a chain of a sort, whose end is left out; hint ends the text of one that has
// another (config/utility.cc, validateTerminalFilters).
func (d *decoder) upstreamFilters(p path, filters []*hcmv3.HttpFilter, sort, hint string) (all []config.HTTPFilter) {
	for i, f := range filters {
		if f.GetConfigDiscovery() != nil {
			pd := p.at(i).dot("config_discovery")
			if i == len(filters)-1 {
				d.never(pd, codecByECDS)
			}
			at := place{kind: upstreamFilter, of: config.UpstreamFilters}
			all = append(all, config.HTTPFilter{Name: f.GetName(), Disabled: f.GetDisabled(), Discovery: d.discoveredAt(at, pd, f.GetName(), f.GetConfigDiscovery())})
			continue
		}
		typeName, _, _ := unwrap(f.GetTypedConfig())
		pc := p.at(i).dot("typed_config")
		switch {
		case alsoUpstream(typeName):
			d.never(pc, "the filter is built for requests, not for each attempt: give it in http_filters of the connection manager")
			continue
		case f.GetIsOptional() && !implements(upstreamFilter, typeName):
			d.warn(p.at(i), "optional filter '%s' of unknown type '%s' is left out", f.GetName(), typeName)
			continue
		}
		m := d.extension(pc, upstreamFilter, f.GetName(), f.GetTypedConfig())
		_, terminal := m.(*codecv3.UpstreamCodec)
		last := i == len(filters)-1
		switch {
		case m == nil:
		case terminal && !last:
			d.refuse(p.at(i), "Error: terminal filter named %s of type %s must be the last filter in a %s filter chain.", f.GetName(), codecName, sort)
		case !terminal && last:
			d.refuse(p.at(i), "Error: non-terminal filter named %s of type %s is the last filter in a %s filter chain.%s", f.GetName(), extensionName(m), sort, hint)
		case terminal && f.GetDisabled():
			d.refuse(p.at(i).dot("disabled"), "the codec cannot be disabled")
		case terminal:
		default:
			all = append(all, config.HTTPFilter{Name: f.GetName(), Disabled: f.GetDisabled(), Config: d.filterConfig(pc, m)})
		}
	}
	return all
}
