package envoyv3

// Filters whose configuration comes by discovery: ExtensionConfigSource, and what comes.

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-mesh/attache/proxy/config"
)

// routerByECDS is why the router does not come by discovery.
const routerByECDS = "the router does not come by discovery: give its typed_config"

// Extension decodes m, the configuration of an HTTP filter that comes by discovery, which stands
// at path. The value is only meant for use if no problem is more than a warning.
func Extension(path string, m *corev3.TypedExtensionConfig, o Options) (*config.Extension, []Problem) {
	d := &decoder{opts: o}
	p := root(path)
	d.begin(p, m)
	e := &config.Extension{Name: m.GetName()}
	d.required(p.dot("name"), e.Name)
	e.Type, e.Config = d.byDiscovery(p.dot("typed_config"), e.Name, m.GetTypedConfig())
	return e, d.end()
}

// byDiscovery reads one configuration.
func (d *decoder) byDiscovery(p path, name string, a *anypb.Any) (typeName string, cfg any) {
	typeName, _, _ = unwrap(a)
	m := d.extension(p, httpFilter, name, a)
	if m == nil {
		return typeName, nil
	}
	if _, terminal := m.(*routerv3.Router); terminal {
		d.never(p, routerByECDS)
		return typeName, nil
	}
	cfg = d.filterConfig(p, m)
	for range config.DiscoveriesIn(cfg) {
		d.never(p, "it names others that come by discovery: a listener's filter alone may")
		break
	}
	return typeName, cfg
}

// discovered reads where a filter's configuration comes from; the texts are Envoy's
// (filter/config_discovery_impl.cc).
func (d *decoder) discovered(p path, name string, m *corev3.ExtensionConfigSource) *config.FilterDiscovery {
	f := &config.FilterDiscovery{Name: name, Source: d.source(p.dot("config_source"), m.GetConfigSource()), AtOnce: m.GetApplyDefaultConfigWithoutWarming()}
	d.required(p, name)
	for i, url := range m.GetTypeUrls() {
		typeName := lastSegment(url)
		if !implements(httpFilter, typeName) {
			d.refuse(p.dot("type_urls").at(i), "Error: no factory found for a required type URL %s.", typeName)
		}
		if typeName == string((&routerv3.Router{}).ProtoReflect().Descriptor().FullName()) {
			d.never(p.dot("type_urls").at(i), routerByECDS)
		}
		f.Types = append(f.Types, typeName)
	}
	if m.GetDefaultConfig() == nil {
		return f
	}
	p = p.dot("default_config")
	typeName, cfg := d.byDiscovery(p, name, m.GetDefaultConfig())
	f.Default = cfg
	for _, t := range f.Types {
		if t == typeName {
			return f
		}
	}
	d.refuse(p, "Error: filter config has type URL %s but expect %s.", typeName, strings.Join(f.Types, ", "))
	return f
}
