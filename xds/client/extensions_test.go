package client

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	grpcwebv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	proxyfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	connlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/connection_limit/v3"
	echov3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/echo/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/stats"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

func extension(t *testing.T, name string, m proto.Message) *corev3.TypedExtensionConfig {
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return &corev3.TypedExtensionConfig{Name: name, TypedConfig: a}
}

// limited is a listener with one filter by discovery.
func limited(from config.Source, types ...string) *config.Listener {
	d := &config.FilterDiscovery{Name: "limit", Source: from, Types: types}
	return &config.Listener{Name: "l", DefaultChain: &config.FilterChain{Handler: &config.HTTP{
		Routes: &config.RouteTable{}, Filters: []config.HTTPFilter{{Name: "limit", Discovery: d}},
	}}}
}

// limit is what the filter of the listener is; -1: it has none; -2: there is no listener.
func limit(s *config.Snapshot) int {
	l := s.Listener("l")
	if l == nil {
		return -2
	}
	if b, ok := l.DefaultChain.Handler.(*config.HTTP).Filters[0].Config.(*config.Buffer); ok {
		return int(b.MaxBytes)
	}
	return -1
}

// A filter's configuration comes in every way of connecting; a bad one, and one of another type,
// are refused by name and the one before stays.
func TestExtensions(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			s, r := stockOf(t, "127.0.0.1:0", !m.separate), newRecorder()
			o := m.options(s.address, r)
			o.CDS, o.LDS = config.Source{}, config.Source{}
			static := config.Resources{Listeners: []*config.Listener{limited(m.secretSource(15*time.Second), "envoy.extensions.filters.http.buffer.v3.Buffer")}}
			o.Static = func(envoyv3.Runtime) config.Resources { return static }
			s.set(t, extension(t, "limit", &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(5)}))
			c := run(t, o)
			readySoon(t, c)
			if n := limit(r.last()); n != 5 {
				t.Fatalf("ready with %d", n)
			}
			s.set(t, extension(t, "limit", &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(6)}))
			r.until(t, "the next", func(s *config.Snapshot) bool { return limit(s) == 6 })
			if n := s.refusals(); n != nil {
				t.Errorf("refused: %q", n)
			}
			s.set(t, extension(t, "limit", &bufferv3.Buffer{}))
			refusedFor(t, s, "max_request_bytes")
			s.set(t, extension(t, "limit", &grpcwebv3.GrpcWeb{}))
			refusedFor(t, s, "Error: filter config has type URL envoy.extensions.filters.http.grpc_web.v3.GrpcWeb but expect envoy.extensions.filters.http.buffer.v3.Buffer.")
			if n := limit(r.last()); n != 6 {
				t.Errorf("the filter's limit is %d now", n)
			}
			if n := figure(c, "extension_config_discovery.http_filter.limit.config_reload"); n < 2 {
				t.Errorf("%d reloads are counted", n)
			}
		})
	}
}

// What a server of the incremental protocol takes away is the default, or none, and comes back;
// nobody who does not take the type of what is there changes that for the others.
func TestExtensionThatGoes(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			s, r := stockOf(t, "127.0.0.1:0", !m.separate), newRecorder()
			o := m.options(s.address, r)
			o.CDS, o.LDS = config.Source{}, config.Source{}
			l := limited(m.secretSource(15*time.Second), "envoy.extensions.filters.http.buffer.v3.Buffer")
			with := limited(m.secretSource(15*time.Second), "envoy.extensions.filters.http.buffer.v3.Buffer")
			with.Name = "with"
			with.DefaultChain.Handler.(*config.HTTP).Filters[0].Discovery.Default = &config.Buffer{MaxBytes: 1}
			static := config.Resources{Listeners: []*config.Listener{l, with}}
			o.Static = func(envoyv3.Runtime) config.Resources { return static }
			five := extension(t, "limit", &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(5)})
			s.set(t, five)
			c := run(t, o)
			readySoon(t, c)
			odd := limited(m.secretSource(15*time.Second), "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb")
			odd.Name = "odd"
			c.report(t.Context(), func(time.Time) {
				c.static.Listeners = append(slices.Clone(c.static.Listeners), odd)
				c.dirty = true
			})
			r.until(t, "one of another type", func(s *config.Snapshot) bool { return s.Listener("odd") != nil })
			if n := limit(r.last()); n != 5 {
				t.Errorf("the first has %d now", n)
			}
			eventually(t, "a conflict", func() bool { return figure(c, "extension_config_discovery.http_filter.limit.config_conflict") == 1 })
			if n := figure(c, "extension_config_discovery.http_filter.limit.config_fail"); n != 0 {
				t.Errorf("%d are said to have failed", n)
			}
			if !m.delta {
				return // nothing is taken away
			}
			s.set(t)
			r.until(t, "none", func(s *config.Snapshot) bool { return limit(s) == -1 })
			if b, ok := r.last().Listener("with").DefaultChain.Handler.(*config.HTTP).Filters[0].Config.(*config.Buffer); !ok || b.MaxBytes != 1 {
				t.Errorf("the default does not stand: %+v", b)
			}
			s.set(t, five)
			r.until(t, "it again", func(s *config.Snapshot) bool { return limit(s) == 5 })
		})
	}
}

func refusedFor(t *testing.T, s *stock, why string) {
	t.Helper()
	eventually(t, "a refusal", func() bool {
		return slices.ContainsFunc(s.refusals(), func(n string) bool { return strings.Contains(n, why) })
	})
}

// A first one that is bad is waited for no longer, and neither is one that does not come; who
// has a default does with that.
func TestExtensionThatIsNone(t *testing.T) {
	m := modes[0]
	s, r := newStock(t, "127.0.0.1:0"), newRecorder()
	o := m.options(s.address, r)
	l := limited(m.secretSource(time.Minute), "envoy.extensions.filters.http.buffer.v3.Buffer")
	other := limited(m.secretSource(100*time.Millisecond), "envoy.extensions.filters.http.buffer.v3.Buffer")
	other.Name = "other"
	d := other.DefaultChain.Handler.(*config.HTTP).Filters[0].Discovery
	d.Name, d.Default = "none", &config.Buffer{MaxBytes: 1}
	static := config.Resources{Listeners: []*config.Listener{l, other}}
	o.Static = func(envoyv3.Runtime) config.Resources { return static }
	s.set(t, extension(t, "limit", &bufferv3.Buffer{}))
	readySoon(t, run(t, o))
	if _, ok := r.last().Listener("l").DefaultChain.Handler.(*config.HTTP).Filters[0].Config.(*config.NoFilterConfig); !ok {
		t.Error("a bad one stands")
	}
	if b, ok := r.last().Listener("other").DefaultChain.Handler.(*config.HTTP).Filters[0].Config.(*config.Buffer); !ok || b.MaxBytes != 1 {
		t.Errorf("the default does not stand: %+v", b)
	}
	s.set(t, extension(t, "limit", &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(6)}))
	r.until(t, "a good one", func(s *config.Snapshot) bool { return limit(s) == 6 })
}

// figure is a statistic of the client's.
func figure(c *Client, name string) uint64 {
	sum := &stats.Sum{}
	c.Stats(sum)
	for _, row := range sum.Rows() {
		if row.Name == name {
			return row.Value
		}
	}
	return 0
}

// Network and listener filters come as HTTP filters do, and so does what one of them names that
// serves connections: its clusters, its route table, its own filters. One in the wrong place is
// refused by name.
func TestExtensionsOfConnections(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			s, r := stockOf(t, "127.0.0.1:0", !m.separate), newRecorder()
			o := m.options(s.address, r)
			o.CDS, o.LDS = config.Source{}, config.Source{}
			from := m.secretSource(15 * time.Second)
			by := func(name string, of config.FilterKind, last bool, ms ...proto.Message) *config.FilterDiscovery {
				d := &config.FilterDiscovery{Name: name, Source: from, Of: of, Last: last}
				for _, m := range ms {
					d.Types = append(d.Types, string(m.ProtoReflect().Descriptor().FullName()))
				}
				return d
			}
			l := &config.Listener{
				Name: "l", Filters: []config.ListenerFilter{{Discovery: by("who", config.ListenerFilters, false, &proxyfilterv3.ProxyProtocol{})}},
				DefaultChain: &config.FilterChain{
					Filters:   []config.NetworkFilter{{Name: "bound", Discovery: by("bound", config.NetworkFilters, false, &connlimitv3.ConnectionLimit{}, &echov3.Echo{})}},
					Discovery: by("served", config.NetworkFilters, true, &hcmv3.HttpConnectionManager{}, &tcpv3.TcpProxy{}),
				},
			}
			static := config.Resources{Listeners: []*config.Listener{l}}
			o.Static = func(envoyv3.Runtime) config.Resources { return static }
			who := extension(t, "who", &proxyfilterv3.ProxyProtocol{StatPrefix: "p"})
			bound := func(n uint64) *corev3.TypedExtensionConfig {
				return extension(t, "bound", &connlimitv3.ConnectionLimit{StatPrefix: "b", MaxConnections: wrapperspb.UInt64(n)})
			}
			manager := &hcmv3.HttpConnectionManager{
				StatPrefix: "in",
				RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
					RouteConfigName: "table", ConfigSource: m.source(),
				}},
				HttpFilters: []*hcmv3.HttpFilter{
					{Name: "limit", ConfigType: &hcmv3.HttpFilter_ConfigDiscovery{ConfigDiscovery: &corev3.ExtensionConfigSource{
						ConfigSource: m.source(), TypeUrls: []string{"type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer"},
					}}},
					{Name: "router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: extension(t, "", &routerv3.Router{}).GetTypedConfig()}},
				},
			}
			served := extension(t, "served", manager)
			limit := extension(t, "limit", &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(5)})
			table := &routev3.RouteConfiguration{Name: "table"}
			if !m.delta && !m.separate { // this server says nothing while it has more than is asked for
				s.set(t, who, bound(1), served)
			} else {
				s.set(t, who, bound(1), served, limit, table)
			}
			c := run(t, o)
			if !m.delta && !m.separate {
				eventually(t, "what names others", func() bool { return s.responses(kinds[ecds].url) > 0 })
				s.set(t, who, bound(1), served, limit, table)
			}
			readySoon(t, c)
			if p := r.last().Listener("l").ProxyProtocol; p == nil || p.StatPrefix != "p" {
				t.Errorf("ready with the listener filter %+v", p)
			}
			if n := limit1(r.last()); n != 5 {
				t.Errorf("ready with the inner filter %d", n)
			}
			most := func(s *config.Snapshot) uint64 {
				b, ok := s.Listener("l").DefaultChain.Filters[0].Config.(*config.ConnectionLimit)
				if !ok {
					return 0
				}
				return b.Max
			}
			s.set(t, who, bound(2), served, limit, table)
			r.until(t, "the next bound", func(s *config.Snapshot) bool { return most(s) == 2 })
			if n := s.refusals(); n != nil {
				t.Errorf("refused: %q", n)
			}
			s.set(t, who, extension(t, "bound", &echov3.Echo{}), served, limit, table)
			refusedFor(t, s, "Error: terminal filter named bound of type envoy.filters.network.echo must be the last filter in a network filter chain.")
			s.set(t, who, bound(2), extension(t, "served", &tcpv3.TcpProxy{StatPrefix: "t", ClusterSpecifier: &tcpv3.TcpProxy_Cluster{Cluster: "none"}}), limit, table)
			refusedFor(t, s, "extension 'served': unknown cluster 'none'")
			s.set(t, who, bound(2), extension(t, "served", &hcmv3.HttpConnectionManager{StatPrefix: "x"}), limit, table)
			refusedFor(t, s, "extension 'served': typed_config: one of rds, route_config, scoped_routes is required (route_specifier)")
			if n := most(r.last()); n != 2 {
				t.Errorf("the bound is %d now", n)
			}
			if h, ok := r.last().Listener("l").DefaultChain.Handler.(*config.HTTP); !ok || h.StatPrefix != "in" {
				t.Errorf("served by %+v now", h)
			}
			for _, name := range []string{"network_filter.bound", "network_filter.served", "tcp_listener_filter.who", "http_filter.limit"} {
				if n := figure(c, "extension_config_discovery."+name+".config_reload"); n == 0 {
					t.Errorf("no reload is counted of %s", name)
				}
			}
			if n := figure(c, "extension_config_discovery.network_filter.served.config_fail"); n == 0 {
				t.Error("no failure is counted")
			}
		})
	}
}

// What came by discovery and names its own name is let go of with the listener that named it.
func TestExtensionThatNamesItself(t *testing.T) {
	m := modes[0]
	s, r := newStock(t, "127.0.0.1:0"), newRecorder()
	o := m.options(s.address, r)
	o.CDS, o.LDS = config.Source{}, config.Source{}
	manager := &hcmv3.HttpConnectionManager{
		StatPrefix:     "in",
		RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{}},
		HttpFilters: []*hcmv3.HttpFilter{
			{Name: "served", ConfigType: &hcmv3.HttpFilter_ConfigDiscovery{ConfigDiscovery: &corev3.ExtensionConfigSource{
				ConfigSource: m.source(), TypeUrls: []string{"type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer"},
			}}},
			{Name: "router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: extension(t, "", &routerv3.Router{}).GetTypedConfig()}},
		},
	}
	static := config.Resources{Listeners: []*config.Listener{{Name: "l", DefaultChain: &config.FilterChain{Discovery: &config.FilterDiscovery{
		Name: "served", Source: m.secretSource(15 * time.Second), Of: config.NetworkFilters, Last: true,
		Types: []string{string(manager.ProtoReflect().Descriptor().FullName())},
	}}}}}
	o.Static = func(envoyv3.Runtime) config.Resources { return static }
	s.set(t, extension(t, "served", manager))
	c := run(t, o)
	readySoon(t, c)
	if h, ok := r.last().Listener("l").DefaultChain.Handler.(*config.HTTP); !ok || len(h.Filters) == 0 {
		t.Fatalf("served by %+v", r.last().Listener("l").DefaultChain.Handler)
	}
	left := make(chan int, 1)
	c.report(t.Context(), func(time.Time) {
		c.static.Listeners = nil
		left <- len(c.named().of[ecds])
	})
	if n := <-left; n != 0 {
		t.Errorf("%d are still named", n)
	}
}

// limit1 is limit of a connection manager that came itself.
func limit1(s *config.Snapshot) int {
	if _, ok := s.Listener("l").DefaultChain.Handler.(*config.HTTP); !ok {
		return -3
	}
	return limit(s)
}

// source is where the control plane's resources come from, as a message says it.
func (m mode) source() *corev3.ConfigSource {
	if !m.separate {
		return &corev3.ConfigSource{ResourceApiVersion: corev3.ApiVersion_V3, ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}}
	}
	api := &corev3.ApiConfigSource{
		ApiType: corev3.ApiConfigSource_GRPC, TransportApiVersion: corev3.ApiVersion_V3,
		GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: "control"}}}},
	}
	if m.delta {
		api.ApiType = corev3.ApiConfigSource_DELTA_GRPC
	}
	return &corev3.ConfigSource{ResourceApiVersion: corev3.ApiVersion_V3, ConfigSourceSpecifier: &corev3.ConfigSource_ApiConfigSource{ApiConfigSource: api}}
}
