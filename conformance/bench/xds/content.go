package main

import (
	"fmt"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/durationpb"
)

// What every simulated sidecar gets: 50 clusters of 20 endpoints each.
const (
	clusters  = 50
	endpoints = 20
)

func clusterName(i int) string { return fmt.Sprintf("service-%02d.shop.svc", i) }

func clusterOf(i int) *cluster.Cluster {
	return &cluster.Cluster{
		Name:                 clusterName(i),
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
		EdsClusterConfig:     &cluster.Cluster_EdsClusterConfig{EdsConfig: adsSource()},
		ConnectTimeout:       durationpb.New(1e9),
	}
}

func adsSource() *core.ConfigSource {
	return &core.ConfigSource{
		ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
		ResourceApiVersion:    core.ApiVersion_V3,
	}
}

// assignment is a cluster's endpoints; the port of the last one is what a change
// changes.
func assignment(i, port int) *endpoint.ClusterLoadAssignment {
	hosts := make([]*endpoint.LbEndpoint, endpoints)
	for n := range hosts {
		p := 8080
		if n == endpoints-1 {
			p = port
		}
		hosts[n] = &endpoint.LbEndpoint{HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{
			Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
				Address:       fmt.Sprintf("10.%d.%d.%d", i, n/250, n%250+1),
				PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(p)},
			}}},
		}}}
	}
	return &endpoint.ClusterLoadAssignment{
		ClusterName: clusterName(i),
		Endpoints:   []*endpoint.LocalityLbEndpoints{{Locality: &core.Locality{Zone: "a"}, LbEndpoints: hosts}},
	}
}
