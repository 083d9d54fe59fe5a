package main

import (
	"context"
	"errors"
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

// pairs is how many turns there are with pushes, and as many without, one after
// the other: what else the machine does meets both alike, and the median turn of
// each is not one that it stopped for.
const pairs = 12

// runPushes sends requests at a fixed rate through a sidecar, in turns: while
// nothing changes, and while each push takes one of four hosts away and brings
// another back. Each has o.length in all.
func runPushes(ctx context.Context, o options) ([]verdict, error) {
	p, err := openPressure(ctx, o)
	if err != nil {
		return nil, err
	}
	defer p.close()
	if _, err := p.turn(ctx, false, min(o.length/pairs, 5*time.Second)); err != nil { // what comes first is slower
		return nil, err
	}
	p.pushes, p.acks = 0, 0
	quiet, pressed := newOutcome(), newOutcome()
	var with, without []time.Duration // p99 of each turn
	for n := range pairs {
		for _, pushing := range [2]bool{n%2 == 1, n%2 == 0} {
			turn, err := p.turn(ctx, pushing, o.length/pairs)
			if err != nil {
				return nil, err
			}
			if pushing {
				pressed.add(turn)
				with = append(with, turn.p99())
			} else {
				quiet.add(turn)
				without = append(without, turn.p99())
			}
		}
		progress("  turn %d: p99 %v with pushes, %v without", n+1, with[n], without[n])
	}
	rate := func(n uint64) float64 { return float64(n) / o.length.Seconds() }
	both := func(q float64) string {
		return fmt.Sprintf("%v and %v", micro(pressed.latency.Quantile(q)), micro(quiet.latency.Quantile(q)))
	}
	typical, other := quantile(with, 0.5), quantile(without, 0.5)
	ratio := float64(typical) / float64(other)
	return []verdict{
		{fmt.Sprintf("%d requests in %v under %d pushes/s: failed", pressed.sent, o.length, pushRate), "0", strconv.Itoa(pressed.failed), pressed.failed == 0},
		{
			fmt.Sprintf("p99 with pushes, beside none: median of %d turns each, in turns", pairs), "≤ 2 ×",
			fmt.Sprintf("%.2f × (%v and %v)", ratio, micro(typical), micro(other)), ratio <= 2,
		},
		{"p50 with pushes, beside none, of all requests", "", both(0.5), true},
		{"p99 with pushes, beside none, of all requests", "", both(0.99), true},
		{"pushes published and ACKed per second", "", fmt.Sprintf("%.0f and %.0f", rate(p.pushes), rate(p.acks)), true},
	}, nil
}

func micro(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// pressure is a sidecar under load.
type pressure struct {
	control      *control
	sidecar      *real
	backends     []net.Listener
	hosts        []string
	front        string
	resources    resources
	pushes, acks uint64 // of turns with pushes
}

func openPressure(ctx context.Context, o options) (p *pressure, err error) {
	p = &pressure{resources: resources{}}
	if p.control, err = openControl(); err != nil {
		return nil, err
	}
	for range backends {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, p.give(err)
		}
		go answer(l)
		p.backends, p.hosts = append(p.backends, l), append(p.hosts, l.Addr().String())
	}
	if p.front, err = freeAddress(); err != nil {
		return nil, p.give(err)
	}
	if err := p.resources.addFront(p.front, p.hosts); err != nil {
		return nil, p.give(err)
	}
	p.control.publish("shop", p.resources)
	if p.sidecar, err = startReal(o, p.control.address, "DELTA_GRPC"); err != nil {
		return nil, p.give(err)
	}
	if err := listens(ctx, p.front, 15*time.Second); err != nil {
		return nil, p.give(p.sidecar.failed(err))
	}
	return p, nil
}

// give closes what was opened before an error.
func (p *pressure) give(err error) error {
	p.close()
	return err
}

func (p *pressure) close() {
	if p.sidecar != nil {
		p.sidecar.close()
	}
	for _, l := range p.backends {
		_ = l.Close()
	}
	p.control.close()
}

// turn sends requests; without pushes as many hosts are there as with them.
func (p *pressure) turn(ctx context.Context, pushing bool, length time.Duration) (outcome, error) {
	if err := p.resources.setBackends(p.hosts[1:]); err != nil {
		return outcome{}, err
	}
	p.control.publish("shop", p.resources)
	before := p.control.server.Counts()
	turn, stop := context.WithCancel(ctx)
	pushed := make(chan error, 1)
	go func() {
		if pushing {
			pushed <- p.resources.push(turn, p.control, p.hosts)
		} else {
			pushed <- nil
		}
	}()
	got, err := openLoop(ctx, p.front, length)
	stop()
	if err := errors.Join(err, <-pushed); err != nil {
		return got, p.sidecar.failed(err)
	}
	if after := p.control.server.Counts(); pushing {
		p.pushes += after.Publishes - before.Publishes
		p.acks += after.Acks - before.Acks
	}
	return got, nil
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

func newOutcome() outcome { return outcome{latency: &load.Histogram{}} }

func (o *outcome) add(other outcome) {
	o.sent, o.failed = o.sent+other.sent, o.failed+other.failed
	o.latency.Merge(other.latency)
}

func (o *outcome) p99() time.Duration { return o.latency.Quantile(0.99) }
