package ambassador

// Listeners: the local address of a port, and who speaks with the application.

import (
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	redisv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/redis_proxy/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	memcachedv1 "github.com/attache-mesh/attache/xds/api/attache/filters/network/memcached_proxy/v1"
)

// listener is the port's. A gRPC library gets the HTTP connection manager alone
// (gRFC A27).
func (p *Port) listener(client Client, namespace string) *listenerv3.Listener {
	if client == GRPC {
		return &listenerv3.Listener{
			Name:        p.Name,
			ApiListener: &listenerv3.ApiListener{ApiListener: packed(p.connectionManager(client, namespace))},
		}
	}
	l := &listenerv3.Listener{
		Name:    p.Name,
		Address: socketAddress(p.Address, p.Port),
		FilterChains: []*listenerv3.FilterChain{{
			Filters: []*listenerv3.Filter{p.filter(client, namespace)},
		}},
	}
	if p.Socket != "" {
		l.Address = pipe(p.Socket)
	}
	return l
}

func (p *Port) filter(client Client, namespace string) *listenerv3.Filter {
	switch p.Protocol {
	case ProtocolMemcached:
		return filter("attache.filters.network.memcached_proxy", p.memcachedProxy())
	case ProtocolRedis:
		return filter("envoy.filters.network.redis_proxy", p.redisProxy())
	case ProtocolTCP:
		return filter("envoy.filters.network.tcp_proxy", p.tcpProxy())
	}
	return filter("envoy.filters.network.http_connection_manager", p.connectionManager(client, namespace))
}

func filter(name string, m proto.Message) *listenerv3.Filter {
	return &listenerv3.Filter{Name: name, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(m)}}
}

func (p *Port) memcachedProxy() *memcachedv1.MemcachedProxy {
	settings := &memcachedv1.MemcachedProxy_Settings{
		OpTimeout:         durationpb.New(p.Timeouts.Request),
		EnableHashtagging: p.Sharding.HashTags,
	}
	if m := p.Memcached; m != nil {
		settings.MaxKeyBytes = positive(m.MaxKey)
		settings.MaxValueBytes = positive(m.MaxValue)
		if m.OnFailure == "miss" {
			settings.OnFailure = memcachedv1.MemcachedProxy_Settings_MISS
		}
	}
	routes := &memcachedv1.MemcachedProxy_PrefixRoutes{}
	for _, route := range p.Routes {
		routes.Routes = append(routes.Routes, &memcachedv1.MemcachedProxy_PrefixRoutes_Route{
			Prefix: route.Prefix, RemovePrefix: route.RemovePrefix, Cluster: route.target.name,
		})
	}
	if p.Service.Source != "" {
		routes.CatchAllRoute = &memcachedv1.MemcachedProxy_PrefixRoutes_Route{Cluster: p.Name}
	}
	return &memcachedv1.MemcachedProxy{StatPrefix: p.Name, Settings: settings, PrefixRoutes: routes}
}

func (p *Port) redisProxy() *redisv3.RedisProxy {
	routes := &redisv3.RedisProxy_PrefixRoutes{}
	for _, route := range p.Routes {
		routes.Routes = append(routes.Routes, &redisv3.RedisProxy_PrefixRoutes_Route{
			Prefix: route.Prefix, RemovePrefix: route.RemovePrefix, Cluster: route.target.name,
		})
	}
	if p.Service.Source != "" {
		routes.CatchAllRoute = &redisv3.RedisProxy_PrefixRoutes_Route{Cluster: p.Name}
	}
	return &redisv3.RedisProxy{
		StatPrefix: p.Name,
		Settings: &redisv3.RedisProxy_ConnPoolSettings{
			OpTimeout: durationpb.New(p.Timeouts.Request), EnableHashtagging: p.Sharding.HashTags,
		},
		PrefixRoutes: routes,
	}
}

func (p *Port) tcpProxy() *tcpv3.TcpProxy {
	t := &tcpv3.TcpProxy{
		StatPrefix:       p.Name,
		ClusterSpecifier: &tcpv3.TcpProxy_Cluster{Cluster: p.Name},
		IdleTimeout:      durationpb.New(p.Timeouts.Idle),
	}
	if p.Retries != nil {
		t.MaxConnectAttempts = wrapperspb.UInt32(p.Retries.Attempts + 1)
	}
	if p.Sharding != nil {
		t.HashPolicy = []*typev3.HashPolicy{{PolicySpecifier: &typev3.HashPolicy_SourceIp_{SourceIp: &typev3.HashPolicy_SourceIp{}}}}
	}
	return t
}

func (p *Port) connectionManager(client Client, namespace string) *hcmv3.HttpConnectionManager {
	m := &hcmv3.HttpConnectionManager{
		StatPrefix: p.Name,
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
			ConfigSource: aggregated(), RouteConfigName: p.Name,
		}},
		CommonHttpProtocolOptions: &corev3.HttpProtocolOptions{IdleTimeout: durationpb.New(p.Timeouts.Idle)},
		HttpFilters: []*hcmv3.HttpFilter{{
			Name:       "envoy.filters.http.router",
			ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(&routerv3.Router{})},
		}},
	}
	if client != GRPC && p.asksForCORS(namespace) {
		m.HttpFilters = append([]*hcmv3.HttpFilter{{
			Name: corsFilter, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(&corsv3.Cors{})},
		}}, m.HttpFilters...)
	}
	return m
}

// aggregated says that a resource comes on the stream on which this one came.
func aggregated() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

func socketAddress(ip netip.Addr, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: ip.String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

func pipe(path string) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: path}}}
}

// positive is n, or not given if it is 0.
func positive(n uint32) *wrapperspb.UInt32Value {
	if n == 0 {
		return nil
	}
	return wrapperspb.UInt32(n)
}
