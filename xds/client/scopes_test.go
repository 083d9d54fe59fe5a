package client

// Scopes and their tables (SRDS).

import (
	"slices"
	"strings"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func scopedListener(m mode, name string) *listenerv3.Listener {
	scopes := &hcmv3.ScopedRoutes{
		Name: "by-tenant",
		ScopeKeyBuilder: &hcmv3.ScopedRoutes_ScopeKeyBuilder{Fragments: []*hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder{{
			Type: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_{
				HeaderValueExtractor: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor{
					Name:        "x-tenant",
					ExtractType: &hcmv3.ScopedRoutes_ScopeKeyBuilder_FragmentBuilder_HeaderValueExtractor_Index{},
				},
			},
		}}},
		RdsConfigSource: m.configSource(),
		ConfigSpecifier: &hcmv3.ScopedRoutes_ScopedRds{ScopedRds: &hcmv3.ScopedRds{ScopedRdsConfigSource: m.configSource()}},
	}
	h := &hcmv3.HttpConnectionManager{
		StatPrefix:     name,
		RouteSpecifier: &hcmv3.HttpConnectionManager_ScopedRoutes{ScopedRoutes: scopes},
		HttpFilters:    []*hcmv3.HttpFilter{{Name: "envoy.filters.http.router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(&routerv3.Router{})}}},
	}
	return &listenerv3.Listener{Name: name, Address: address(0), FilterChains: []*listenerv3.FilterChain{{
		Filters: []*listenerv3.Filter{{Name: "envoy.filters.network.http_connection_manager", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(h)}}},
	}}}
}

func scope(name, key, table string) *routev3.ScopedRouteConfiguration {
	return &routev3.ScopedRouteConfiguration{
		Name: name, RouteConfigurationName: table,
		Key: &routev3.ScopedRouteConfiguration_Key{Fragments: []*routev3.ScopedRouteConfiguration_Key_Fragment{{
			Type: &routev3.ScopedRouteConfiguration_Key_Fragment_StringKey{StringKey: key},
		}}},
	}
}

// Scopes come with their tables; one stays what it was until its new table is there,
// and of two with one key the second is refused.
func TestScopes(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			s, r := newStock(t, "127.0.0.1:0"), newRecorder()
			l := scopedListener(m, "l")
			s.set(t, m.cluster("a"), endpoints("a", 1001), l, scope("one", "x", "r1"), table("r1", "a"))
			c := run(t, m.options(s.address, r))
			readySoon(t, c)
			shows := func(want ...string) func(*config.Snapshot) bool {
				return func(s *config.Snapshot) bool {
					var all []string
					for _, x := range s.Scopes {
						if s.TableOf(x) == nil {
							return false
						}
						all = append(all, x.Name+"="+strings.Join(x.Key, ",")+">"+x.Table)
					}
					return s.Listener("l") != nil && slices.Equal(all, want)
				}
			}
			r.until(t, "the scope", shows("one=x>r1"))

			s.set(t, m.cluster("a"), endpoints("a", 1001), l, scope("one", "x", "r2"), scope("two", "y", "r1"), table("r1", "a"))
			r.until(t, "the other scope", shows("one=x>r1", "two=y>r1"))
			s.set(t, m.cluster("a"), endpoints("a", 1001), l, scope("one", "x", "r2"), scope("two", "y", "r1"), table("r1", "a"), table("r2", "a"))
			r.until(t, "the new table", shows("one=x>r2", "two=y>r1"))

			s.set(t, m.cluster("a"), endpoints("a", 1001), l, scope("one", "x", "r2"), scope("two", "x", "r1"), table("r1", "a"), table("r2", "a"))
			eventually(t, "the conflict is refused", func() bool {
				return slices.ContainsFunc(s.refusals(), func(nack string) bool {
					return strings.Contains(nack, "scope key conflict found, first scope is 'one', second scope is 'two'")
				})
			})
			s.set(t, m.cluster("a"), endpoints("a", 1001), l, scope("two", "z", "r1"), table("r1", "a"), table("r2", "a"))
			r.until(t, "what was removed is gone", shows("two=z>r1"))
		})
	}
}

// All connection managers have their scopes from one source: a listener that wants
// others is refused.
func TestScopesFromElsewhere(t *testing.T) {
	m := modes[0]
	s, r := newStock(t, "127.0.0.1:0"), newRecorder()
	s.set(t, m.cluster("a"), endpoints("a", 1001), scopedListener(m, "l"), scopedListener(modes[2], "m"), scope("one", "x", "r1"), table("r1", "a"))
	c := run(t, m.options(s.address, r))
	readySoon(t, c)
	eventually(t, "the refusal", func() bool {
		return slices.ContainsFunc(s.refusals(), func(nack string) bool {
			return strings.Contains(nack, "'m': scoped_routes: another connection manager has its scopes from elsewhere")
		})
	})
	if r.last().Listener("l") == nil || r.last().Listener("m") != nil {
		t.Error("the wrong one stands")
	}
}
