package envoyv3

// Filters whose configuration comes by discovery: ExtensionConfigSource, and what comes.

import (
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	codecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-mesh/attache/proxy/config"
)

// routerByECDS is why the router does not come by discovery, codecByECDS why the codec does not.
const (
	routerByECDS = "the router does not come by discovery: give its typed_config"
	codecByECDS  = "the codec does not come by discovery: give its typed_config"
)

// discoverable is the kind of filter that a message configures: those whose configuration may
// come by discovery, whatever it is.
func discoverable(typeName string) kind {
	for _, k := range []kind{networkFilter, listenerFilter} {
		if implements(k, typeName) {
			return k
		}
	}
	return httpFilter // those of attempts are among them
}

// Extension decodes m, the configuration of an HTTP, network or listener filter that comes by
// discovery, which stands at path. The value is only meant for use if no problem is more than a
// warning.
func Extension(path string, m *corev3.TypedExtensionConfig, o Options) (*config.Extension, []Problem) {
	d := &decoder{opts: o}
	p := root(path)
	d.begin(p, m)
	d.required(p.dot("name"), m.GetName())
	typeName, _, _ := unwrap(m.GetTypedConfig())
	return d.byDiscovery(p.dot("typed_config"), discoverable(typeName), m.GetName(), m.GetTypedConfig()), d.end()
}

// byDiscovery reads one configuration.
func (d *decoder) byDiscovery(p path, k kind, name string, a *anypb.Any) *config.Extension {
	e := &config.Extension{Name: name}
	e.Type, _, _ = unwrap(a)
	m := d.extension(p, k, name, a)
	if m == nil {
		return e
	}
	e.Filter = extensionName(m)
	switch k {
	case listenerFilter:
		e.Config = d.listenerFilter(p, m)
	case networkFilter:
		if h := d.handler(p, m); h != nil {
			e.Config = h
		} else {
			e.Config = d.networkFilter(p, m)
		}
	default:
		if _, terminal := m.(*routerv3.Router); terminal {
			d.never(p, routerByECDS)
			return e
		}
		e.Config = d.filterConfig(p, m)
		for range config.DiscoveriesIn(e.Config) {
			d.never(p, "it names others that come by discovery: a connection manager's filter alone may")
			break
		}
	}
	return e
}

// place is where a filter stands whose configuration comes by discovery.
type place struct {
	kind kind
	of   config.FilterKind
	last bool // it ends its chain
}

// discovered reads where the configuration of a filter of a connection manager comes from.
func (d *decoder) discovered(p path, name string, m *corev3.ExtensionConfigSource) *config.FilterDiscovery {
	return d.discoveredAt(place{kind: httpFilter, of: config.HTTPFilters}, p, name, m)
}

// discoveredAt reads where a filter's configuration comes from; the texts are Envoy's
// (filter/config_discovery_impl.cc, http/filter_chain_helper.h, listener_manager_impl.cc).
func (d *decoder) discoveredAt(at place, p path, name string, m *corev3.ExtensionConfigSource) *config.FilterDiscovery {
	f := &config.FilterDiscovery{
		Name: name, Source: d.source(p.dot("config_source"), m.GetConfigSource()), AtOnce: m.GetApplyDefaultConfigWithoutWarming(),
		Of: at.of, Last: at.last,
	}
	d.required(p, name)
	known := 0
	for i, url := range m.GetTypeUrls() {
		typeName := lastSegment(url)
		pt := p.dot("type_urls").at(i)
		switch {
		case typeName == string((&routerv3.Router{}).ProtoReflect().Descriptor().FullName()):
			d.never(pt, routerByECDS)
		case typeName == string((&codecv3.UpstreamCodec{}).ProtoReflect().Descriptor().FullName()):
			d.never(pt, codecByECDS)
		case implements(at.kind, typeName):
			known++
		case at.kind == networkFilter: // Envoy does not look
			d.warn(pt, "no network filter is configured by %s: if it comes it is refused", typeName)
			continue
		case at.kind == listenerFilter:
			d.refuse(pt, "Error: no listener factory found for a required type URL %s.", typeName)
		default:
			d.refuse(pt, "Error: no factory found for a required type URL %s.", typeName)
		}
		f.Types = append(f.Types, typeName)
	}
	if at.kind == networkFilter && known == 0 {
		d.never(p.dot("type_urls"), "no filter of any of these types is built: none could come")
	}
	if m.GetDefaultConfig() == nil {
		switch {
		case !f.AtOnce || at.kind == networkFilter:
		case at.kind == listenerFilter:
			d.refuse(p, "Error: listener filter config %s applied without warming but has no default config.", name)
		default:
			d.refuse(p, "Error: filter config %s applied without warming but has no default config.", name)
		}
		return f
	}
	d.defaultConfig(at, p.dot("default_config"), f, m.GetDefaultConfig())
	return f
}

// defaultConfig reads what stands in for a filter that does not come.
func (d *decoder) defaultConfig(at place, p path, f *config.FilterDiscovery, a *anypb.Any) {
	e := d.byDiscovery(p, at.kind, f.Name, a)
	f.Default = e.Config
	if !slices.Contains(f.Types, e.Type) {
		d.refuse(p, "Error: filter config has type URL %s but expect %s.", e.Type, strings.Join(f.Types, ", "))
	}
	if _, serves := e.Config.(config.Handler); at.kind == networkFilter && e.Config != nil && serves != at.last {
		d.refuse(p, "%s", config.Misplaced(f.Name, e.Filter, serves))
	}
}
