package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	largeCluster = 10_000
	largeChanges = 50
	lbEndpoint   = resource.APITypePrefix + "envoy.config.endpoint.v3.LbEndpoint"
	collection   = "xdstp://bench/envoy.config.endpoint.v3.LbEndpoint/big/"
)

// runLarge changes one of 10,000 endpoints: as an assignment, which carries them
// all, and as a collection of endpoints that are resources of their own (LEDS).
func runLarge(ctx context.Context, o options) ([]verdict, error) {
	cost, err := largeChange(ctx, o, resource.EndpointType)
	if err != nil {
		return nil, err
	}
	verdicts := []verdict{
		{"in one assignment (EDS): CPU of the sidecar per change", "≤ 5 ms", spell(cost.cpu), cost.cpu <= 5*time.Millisecond},
		{"in one assignment: bytes on the wire per change", "", kib(cost.bytes), true},
	}
	cost, err = largeChange(ctx, o, lbEndpoint)
	if errors.Is(err, errNoAck) {
		return append(verdicts, verdict{"as a collection (LEDS): bytes on the wire per change", "≤ 1 KiB", "the sidecar does not ask for it", false}), nil
	}
	if err != nil {
		return nil, err
	}
	return append(verdicts,
		verdict{"as a collection (LEDS): CPU of the sidecar per change", "≤ 5 ms", spell(cost.cpu), cost.cpu <= 5*time.Millisecond},
		verdict{"as a collection: bytes on the wire per change", "≤ 1 KiB", kib(cost.bytes), cost.bytes <= 1<<10}), nil
}

func kib(bytes int64) string { return fmt.Sprintf("%.1f KiB", float64(bytes)/1024) }

// cost is of one change.
type cost struct {
	cpu   time.Duration
	bytes int64
}

func largeChange(ctx context.Context, o options, typeURL string) (c cost, err error) {
	control, err := openControl()
	if err != nil {
		return c, err
	}
	defer control.close()
	r := resources{}
	if err := r.addLarge(typeURL); err != nil {
		return c, err
	}
	generation := control.publish("shop", r)
	s, err := startReal(o, control.address)
	if err != nil {
		return c, err
	}
	defer s.close()
	if err := control.accepted(ctx, typeURL, generation, 15*time.Second); err != nil {
		return c, s.failed(err)
	}
	for n := range largeChanges + warm {
		if n == warm {
			if c.cpu, err = s.cpu(); err != nil {
				return c, err
			}
			c.bytes = control.written.Load()
		}
		if err := r.changeLarge(typeURL, n); err != nil {
			return c, err
		}
		if err := control.accepted(ctx, typeURL, control.publish("shop", r), 15*time.Second); err != nil {
			return c, s.failed(err)
		}
	}
	after, err := s.cpu()
	if err != nil {
		return c, err
	}
	return cost{(after - c.cpu) / largeChanges, (control.written.Load() - c.bytes) / largeChanges}, nil
}

func (r resources) addLarge(typeURL string) error {
	err := r.add(resource.ClusterType, "big", &cluster.Cluster{
		Name:                 "big",
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
		EdsClusterConfig:     &cluster.Cluster_EdsClusterConfig{EdsConfig: adsSource()},
		ConnectTimeout:       durationpb.New(time.Second),
	})
	if err != nil || typeURL == resource.EndpointType {
		return errors.Join(err, r.changeLarge(typeURL, -1))
	}
	for i := range largeCluster {
		if err := r.add(lbEndpoint, memberName(i), host(i, 8080)); err != nil {
			return err
		}
	}
	return r.add(resource.EndpointType, "big", &endpoint.ClusterLoadAssignment{
		ClusterName: "big",
		Endpoints: []*endpoint.LocalityLbEndpoints{{
			LbConfig: &endpoint.LocalityLbEndpoints_LedsClusterLocalityConfig{LedsClusterLocalityConfig: &endpoint.LedsClusterLocalityConfig{
				LedsConfig: adsSource(), LedsCollectionName: collection + "*",
			}},
		}},
	})
}

// changeLarge gives the nth endpoint another port.
func (r resources) changeLarge(typeURL string, n int) error {
	if typeURL == lbEndpoint {
		return r.add(lbEndpoint, memberName(n), host(n, 9090))
	}
	group := &endpoint.LocalityLbEndpoints{}
	for i := range largeCluster {
		port := 8080
		if i <= n {
			port = 9090
		}
		group.LbEndpoints = append(group.LbEndpoints, host(i, port))
	}
	return r.add(resource.EndpointType, "big", &endpoint.ClusterLoadAssignment{ClusterName: "big", Endpoints: []*endpoint.LocalityLbEndpoints{group}})
}

func memberName(i int) string { return fmt.Sprintf("%s%05d", collection, i) }

func host(i, port int) *endpoint.LbEndpoint {
	return hostAt(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), port)
}

func hostAt(ip string, port int) *endpoint.LbEndpoint {
	return &endpoint.LbEndpoint{HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{
		Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
			Address: ip, PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(port)},
		}}},
	}}}
}
