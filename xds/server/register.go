package server

import (
	cluster "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	extension "github.com/envoyproxy/go-control-plane/envoy/service/extension/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	load "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	runtime "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	secret "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	status "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
)

// Register puts the xDS services on r: aggregated, and one for each type;
// CSDS and LRS.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	discovery.RegisterAggregatedDiscoveryServiceServer(r, ads{server: s})
	listener.RegisterListenerDiscoveryServiceServer(r, lds{server: s})
	route.RegisterRouteDiscoveryServiceServer(r, rds{server: s})
	route.RegisterScopedRoutesDiscoveryServiceServer(r, srds{server: s})
	route.RegisterVirtualHostDiscoveryServiceServer(r, vhds{server: s})
	cluster.RegisterClusterDiscoveryServiceServer(r, cds{server: s})
	endpoint.RegisterEndpointDiscoveryServiceServer(r, eds{server: s})
	secret.RegisterSecretDiscoveryServiceServer(r, sds{server: s})
	extension.RegisterExtensionConfigDiscoveryServiceServer(r, ecds{server: s})
	runtime.RegisterRuntimeDiscoveryServiceServer(r, rtds{server: s})
	status.RegisterClientStatusDiscoveryServiceServer(r, statusService{server: s})
	load.RegisterLoadReportingServiceServer(r, loadService{server: s})
}

type ads struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer
	server *Server
}

// StreamAggregatedResources is ADS, state of the world.
func (a ads) StreamAggregatedResources(str discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return a.server.serveSotw(str, resource.AnyType)
}

// DeltaAggregatedResources is ADS, incremental.
func (a ads) DeltaAggregatedResources(str discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return a.server.serveDelta(str, resource.AnyType)
}

type lds struct {
	listener.UnimplementedListenerDiscoveryServiceServer
	server *Server
}

// StreamListeners is LDS, state of the world.
func (l lds) StreamListeners(str listener.ListenerDiscoveryService_StreamListenersServer) error {
	return l.server.serveSotw(str, resource.ListenerType)
}

// DeltaListeners is LDS, incremental.
func (l lds) DeltaListeners(str listener.ListenerDiscoveryService_DeltaListenersServer) error {
	return l.server.serveDelta(str, resource.ListenerType)
}

type rds struct {
	route.UnimplementedRouteDiscoveryServiceServer
	server *Server
}

// StreamRoutes is RDS, state of the world.
func (r rds) StreamRoutes(str route.RouteDiscoveryService_StreamRoutesServer) error {
	return r.server.serveSotw(str, resource.RouteType)
}

// DeltaRoutes is RDS, incremental.
func (r rds) DeltaRoutes(str route.RouteDiscoveryService_DeltaRoutesServer) error {
	return r.server.serveDelta(str, resource.RouteType)
}

type srds struct {
	route.UnimplementedScopedRoutesDiscoveryServiceServer
	server *Server
}

// StreamScopedRoutes is SRDS, state of the world.
func (r srds) StreamScopedRoutes(str route.ScopedRoutesDiscoveryService_StreamScopedRoutesServer) error {
	return r.server.serveSotw(str, resource.ScopedRouteType)
}

// DeltaScopedRoutes is SRDS, incremental.
func (r srds) DeltaScopedRoutes(str route.ScopedRoutesDiscoveryService_DeltaScopedRoutesServer) error {
	return r.server.serveDelta(str, resource.ScopedRouteType)
}

type vhds struct {
	route.UnimplementedVirtualHostDiscoveryServiceServer
	server *Server
}

// DeltaVirtualHosts is VHDS, which is incremental only.
func (v vhds) DeltaVirtualHosts(str route.VirtualHostDiscoveryService_DeltaVirtualHostsServer) error {
	return v.server.serveDelta(str, resource.VirtualHostType)
}

type cds struct {
	cluster.UnimplementedClusterDiscoveryServiceServer
	server *Server
}

// StreamClusters is CDS, state of the world.
func (c cds) StreamClusters(str cluster.ClusterDiscoveryService_StreamClustersServer) error {
	return c.server.serveSotw(str, resource.ClusterType)
}

// DeltaClusters is CDS, incremental.
func (c cds) DeltaClusters(str cluster.ClusterDiscoveryService_DeltaClustersServer) error {
	return c.server.serveDelta(str, resource.ClusterType)
}

type eds struct {
	endpoint.UnimplementedEndpointDiscoveryServiceServer
	server *Server
}

// StreamEndpoints is EDS, state of the world.
func (e eds) StreamEndpoints(str endpoint.EndpointDiscoveryService_StreamEndpointsServer) error {
	return e.server.serveSotw(str, resource.EndpointType)
}

// DeltaEndpoints is EDS, incremental.
func (e eds) DeltaEndpoints(str endpoint.EndpointDiscoveryService_DeltaEndpointsServer) error {
	return e.server.serveDelta(str, resource.EndpointType)
}

type sds struct {
	secret.UnimplementedSecretDiscoveryServiceServer
	server *Server
}

// StreamSecrets is SDS, state of the world.
func (s sds) StreamSecrets(str secret.SecretDiscoveryService_StreamSecretsServer) error {
	return s.server.serveSotw(str, resource.SecretType)
}

// DeltaSecrets is SDS, incremental.
func (s sds) DeltaSecrets(str secret.SecretDiscoveryService_DeltaSecretsServer) error {
	return s.server.serveDelta(str, resource.SecretType)
}

type ecds struct {
	extension.UnimplementedExtensionConfigDiscoveryServiceServer
	server *Server
}

// StreamExtensionConfigs is ECDS, state of the world.
func (e ecds) StreamExtensionConfigs(str extension.ExtensionConfigDiscoveryService_StreamExtensionConfigsServer) error {
	return e.server.serveSotw(str, resource.ExtensionConfigType)
}

// DeltaExtensionConfigs is ECDS, incremental.
func (e ecds) DeltaExtensionConfigs(str extension.ExtensionConfigDiscoveryService_DeltaExtensionConfigsServer) error {
	return e.server.serveDelta(str, resource.ExtensionConfigType)
}

type rtds struct {
	runtime.UnimplementedRuntimeDiscoveryServiceServer
	server *Server
}

// StreamRuntime is RTDS, state of the world.
func (r rtds) StreamRuntime(str runtime.RuntimeDiscoveryService_StreamRuntimeServer) error {
	return r.server.serveSotw(str, resource.RuntimeType)
}

// DeltaRuntime is RTDS, incremental.
func (r rtds) DeltaRuntime(str runtime.RuntimeDiscoveryService_DeltaRuntimeServer) error {
	return r.server.serveDelta(str, resource.RuntimeType)
}
