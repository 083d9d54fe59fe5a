package main

// 10,000 clusters and 10,000 routes: what it takes to come up with them, and to
// change one.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	scaleSize    = 10_000
	scaleChanges = 20
	scaleLoad    = 2 * time.Second
	scaleMemory  = 450 << 20
	scaleChange  = 50 * time.Millisecond
)

// runScale gives a sidecar a table of 10,000 routes to as many clusters, and then
// one route after the other another answer.
func runScale(ctx context.Context, o options) ([]verdict, error) {
	front, err := freeAddress()
	if err != nil {
		return nil, err
	}
	c, err := openControl()
	if err != nil {
		return nil, err
	}
	defer c.close()
	r := resources{}
	if err := r.addScale(front, "0"); err != nil {
		return nil, err
	}
	c.publish("shop", r)
	began := time.Now()
	s, err := startReal(o, c.address, "DELTA_GRPC")
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := says(ctx, front, "0", 30*time.Second); err != nil {
		return nil, s.failed(err)
	}
	up := time.Since(began)
	peak, err := s.status("VmHWM")
	if err != nil {
		return nil, err
	}
	spentUp, err := s.cpu()
	if err != nil {
		return nil, err
	}
	var took []time.Duration
	for n := range scaleChanges {
		if err := r.addRoutes(fmt.Sprint(n + 1)); err != nil {
			return nil, err
		}
		began := time.Now()
		c.publish("shop", r)
		if err := says(ctx, front, fmt.Sprint(n+1), 10*time.Second); err != nil {
			return nil, s.failed(err)
		}
		took = append(took, time.Since(began))
	}
	spent, err := s.cpu()
	if err != nil {
		return nil, err
	}
	slices.Sort(took)
	median := took[len(took)/2]
	return []verdict{
		{"from the start until the last of 10,000 routes to 10,000 clusters answers", "≤ 2 s", spell(up), up <= scaleLoad},
		{"CPU of the sidecar until then", "", spell(spentUp), true},
		{"memory at its most", "≤ 450 MiB", mib(peak), peak <= scaleMemory},
		{"from the publication of another table, one route changed, until that route answers so (median of 20)", "≤ 50 ms", spell(median), median <= scaleChange},
		{"CPU of the sidecar per change, the asking included", "", spell((spent - spentUp) / scaleChanges), true},
	}, nil
}

// says waits until the route that changes answers so.
func says(ctx context.Context, front, want string, limit time.Duration) error {
	var last string
	for start := time.Now(); time.Since(start) < limit; {
		r, err := http.Get("http://" + front + "/changes")
		if err == nil {
			text, _ := io.ReadAll(r.Body)
			r.Body.Close()
			if last = string(text); last == want {
				return nil
			}
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.New("the route answers " + last)
}

// addScale adds the clusters, a listener, and its table.
func (r resources) addScale(front, answer string) error {
	for i := range scaleSize {
		name := fmt.Sprintf("service-%d", i)
		err := r.add(resource.ClusterType, name, &cluster.Cluster{
			Name:                 name,
			ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_STATIC},
			ConnectTimeout:       durationpb.New(time.Second),
			LoadAssignment: &endpoint.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpoint.LocalityLbEndpoints{{
				LbEndpoints: []*endpoint.LbEndpoint{hostAt(fmt.Sprintf("10.1.%d.%d", i/250, i%250+1), 8080)},
			}}},
		})
		if err != nil {
			return err
		}
	}
	if err := r.addRoutes(answer); err != nil {
		return err
	}
	routing, err := anypb.New(&router.Router{})
	if err != nil {
		return err
	}
	manager, err := anypb.New(&hcm.HttpConnectionManager{
		StatPrefix:     "front",
		HttpFilters:    []*hcm.HttpFilter{{Name: "router", ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: routing}}},
		RouteSpecifier: &hcm.HttpConnectionManager_Rds{Rds: &hcm.Rds{RouteConfigName: "table", ConfigSource: adsSource()}},
	})
	if err != nil {
		return err
	}
	host, port, err := splitAddress(front)
	if err != nil {
		return err
	}
	return r.add(resource.ListenerType, "front", &listener.Listener{
		Name: "front",
		Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
			Address: host, PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(port)},
		}}},
		FilterChains: []*listener.FilterChain{{Filters: []*listener.Filter{{
			Name: "http", ConfigType: &listener.Filter_TypedConfig{TypedConfig: manager},
		}}}},
	})
}

// addRoutes adds the table; its last route answers by itself.
func (r resources) addRoutes(answer string) error {
	all := make([]*route.Route, 0, scaleSize)
	for i := range scaleSize - 1 {
		all = append(all, &route.Route{
			Match: &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: fmt.Sprintf("/service-%d/", i)}},
			Action: &route.Route_Route{Route: &route.RouteAction{
				ClusterSpecifier: &route.RouteAction_Cluster{Cluster: fmt.Sprintf("service-%d", i)},
			}},
		})
	}
	all = append(all, &route.Route{
		Match: &route.RouteMatch{PathSpecifier: &route.RouteMatch_Path{Path: "/changes"}},
		Action: &route.Route_DirectResponse{DirectResponse: &route.DirectResponseAction{
			Status: 200, Body: &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: answer}},
		}},
	})
	return r.add(resource.RouteType, "table", &route.RouteConfiguration{
		Name:         "table",
		VirtualHosts: []*route.VirtualHost{{Name: "all", Domains: []string{"*"}, Routes: all}},
	})
}
