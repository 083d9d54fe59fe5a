package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-mesh/attache/conformance/bench/load"
)

const (
	requestRate = 5000
	pushRate    = 100
	backends    = 4
)

// runPushes sends requests at a fixed rate through a sidecar, first alone and then
// while each push takes one of four hosts away and brings another back.
func runPushes(ctx context.Context, o options) ([]verdict, error) {
	control, err := openControl()
	if err != nil {
		return nil, err
	}
	defer control.close()
	var hosts []string
	for range backends {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		go answer(l)
		hosts = append(hosts, l.Addr().String())
	}
	front, err := freeAddress()
	if err != nil {
		return nil, err
	}
	r := resources{}
	if err := r.addFront(front, hosts); err != nil {
		return nil, err
	}
	control.publish("shop", r)
	s, err := startReal(o, control.address, "DELTA_GRPC")
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := listens(ctx, front, 15*time.Second); err != nil {
		return nil, s.failed(err)
	}
	quietly, err := openLoop(ctx, front, o.length/4)
	if err != nil {
		return nil, s.failed(err)
	}
	progress("  no pushes: %d requests, %d failed, p99 %v", quietly.sent, quietly.failed, quietly.p99())
	before := control.server.Counts()
	pushing, stop := context.WithCancel(ctx)
	pushed := make(chan error, 1)
	go func() { pushed <- r.push(pushing, control, hosts) }()
	pressed, err := openLoop(ctx, front, o.length)
	stop()
	if err := <-pushed; err != nil {
		return nil, err
	}
	if err != nil {
		return nil, s.failed(err)
	}
	after := control.server.Counts()
	acks := float64(after.Acks-before.Acks) / o.length.Seconds()
	return []verdict{
		{fmt.Sprintf("%d requests in %v under %d pushes/s: failed", pressed.sent, o.length, pushRate), "0", strconv.Itoa(pressed.failed), pressed.failed == 0},
		{"p99 with pushes, beside none", "≤ 2 ×", fmt.Sprintf("%.2f × (%v and %v)", float64(pressed.p99())/float64(quietly.p99()), pressed.p99(), quietly.p99()), pressed.p99() <= 2*quietly.p99()},
		{"pushes published and ACKed per second", "", fmt.Sprintf("%.0f and %.0f", float64(after.Publishes-before.Publishes)/o.length.Seconds(), acks), true},
		{"p50 with pushes, beside none", "", fmt.Sprintf("%v and %v", pressed.latency.Quantile(0.5), quietly.latency.Quantile(0.5)), true},
	}, nil
}

// push changes the endpoints pushRate times a second.
func (r resources) push(ctx context.Context, c *control, hosts []string) error {
	tick := time.NewTicker(time.Second / pushRate)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		away := n % len(hosts)
		rest := append(append([]string{}, hosts[:away]...), hosts[away+1:]...)
		if err := r.setBackends(rest); err != nil {
			return err
		}
		c.publish("shop", r)
	}
}

func (r resources) setBackends(hosts []string) error {
	group := &endpoint.LocalityLbEndpoints{}
	for _, h := range hosts {
		ip, port, err := splitAddress(h)
		if err != nil {
			return err
		}
		group.LbEndpoints = append(group.LbEndpoints, hostAt(ip, port))
	}
	name := clusterName(0)
	return r.add(resource.EndpointType, name, &endpoint.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpoint.LocalityLbEndpoints{group}})
}

func splitAddress(address string) (ip string, port int, err error) {
	ip, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(text)
	return ip, port, err
}

// addFront is a listener whose requests go to the hosts.
func (r resources) addFront(address string, hosts []string) error {
	ip, port, err := splitAddress(address)
	if err != nil {
		return err
	}
	routing, err := anypb.New(&router.Router{})
	if err != nil {
		return err
	}
	manager, err := anypb.New(&hcm.HttpConnectionManager{
		StatPrefix: "front",
		HttpFilters: []*hcm.HttpFilter{{
			Name: "router", ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: routing},
		}},
		RouteSpecifier: &hcm.HttpConnectionManager_RouteConfig{RouteConfig: &route.RouteConfiguration{
			Name: "front",
			VirtualHosts: []*route.VirtualHost{{Name: "all", Domains: []string{"*"}, Routes: []*route.Route{{
				Match:  &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
				Action: &route.Route_Route{Route: &route.RouteAction{ClusterSpecifier: &route.RouteAction_Cluster{Cluster: clusterName(0)}}},
			}}}},
		}},
	})
	if err != nil {
		return err
	}
	err = r.add(resource.ListenerType, "front", &listener.Listener{
		Name: "front",
		Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
			Address: ip, PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(port)},
		}}},
		FilterChains: []*listener.FilterChain{{Filters: []*listener.Filter{{
			Name: "http", ConfigType: &listener.Filter_TypedConfig{TypedConfig: manager},
		}}}},
	})
	if err != nil {
		return err
	}
	if err := r.add(resource.ClusterType, clusterName(0), clusterOf(0)); err != nil {
		return err
	}
	return r.setBackends(hosts)
}

// hostAt is an endpoint.
func hostAt(ip string, port int) *endpoint.LbEndpoint {
	return &endpoint.LbEndpoint{HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{
		Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
			Address: ip, PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(port)},
		}}},
	}}}
}

// freeAddress is a loopback address that nothing listens on just now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// outcome of a generator.
type outcome struct {
	sent, failed int
	latency      *load.Histogram
}

func (o *outcome) p99() time.Duration { return o.latency.Quantile(0.99) }
