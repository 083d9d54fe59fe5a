package main

import (
	"context"
	"maps"
	"net"
	"strconv"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	stock "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"

	"github.com/attache-mesh/attache/xds/server"
)

// engine is a control plane under measurement.
type engine interface {
	// change gives cluster i's last endpoint another port.
	change(i, port int) error
	// serve answers on l.
	serve(l net.Listener) error
}

// ours is xds/server.
type ours struct {
	server *server.Server
	byType map[string]map[string]*server.Resource
}

func newOurs(t *tally) (engine, error) {
	o := &ours{byType: map[string]map[string]*server.Resource{resource.ClusterType: {}, resource.EndpointType: {}}}
	o.server = server.New(server.Options{
		Select: func(*core.Node, bool) (string, error) { return "shop", nil },
		Events: server.Events{
			Pushed: func(server.Push) { t.responses.Add(1) },
			Acked:  func(a server.Answer) { t.acked(a.TypeURL, a.Client.Node) },
			Nacked: func(a server.Answer) { t.nacks.Add(1) },
		},
	})
	for i := range clusters {
		r, err := server.NewResource(clusterName(i), clusterOf(i))
		if err != nil {
			return nil, err
		}
		o.byType[resource.ClusterType][r.Name] = r
		if err := o.set(i, 8080); err != nil {
			return nil, err
		}
	}
	o.publish()
	go t.watchOpens(func() int { return int(o.server.Counts().Admitted) })
	return o, nil
}

func (o *ours) set(i, port int) error {
	r, err := server.NewResource(clusterName(i), assignment(i, port))
	if err != nil {
		return err
	}
	o.byType[resource.EndpointType][r.Name] = r
	return nil
}

func (o *ours) change(i, port int) error {
	if err := o.set(i, port); err != nil {
		return err
	}
	o.publish()
	return nil
}

// publish hands over copies of the maps, as they are the bundle's then.
func (o *ours) publish() {
	byType := map[string]map[string]*server.Resource{}
	for typeURL, byName := range o.byType {
		byType[typeURL] = maps.Clone(byName)
	}
	o.server.Publish("shop", server.NewBundle(byType))
}

func (o *ours) serve(l net.Listener) error { return o.server.Serve(l) }

// linear is go-control-plane as it comes: its server on a LinearCache for each
// type.
type linear struct {
	endpoints *cache.LinearCache
	grpc      *grpc.Server
}

func newLinear(t *tally) (engine, error) {
	cds, eds := map[string]types.Resource{}, map[string]types.Resource{}
	for i := range clusters {
		cds[clusterName(i)], eds[clusterName(i)] = clusterOf(i), assignment(i, 8080)
	}
	e := &linear{endpoints: cache.NewLinearCache(resource.EndpointType, cache.WithInitialResources(eds)), grpc: grpc.NewServer()}
	both := &cache.MuxCache{
		Classify:      func(r *cache.Request) string { return r.GetTypeUrl() },
		ClassifyDelta: func(r *cache.DeltaRequest) string { return r.GetTypeUrl() },
		Caches: map[string]cache.Cache{
			resource.ClusterType:  cache.NewLinearCache(resource.ClusterType, cache.WithInitialResources(cds)),
			resource.EndpointType: e.endpoints,
		},
	}
	s := stock.NewServer(context.Background(), both, stock.CallbackFuncs{
		StreamDeltaRequestFunc: func(stream int64, r *discovery.DeltaDiscoveryRequest) error {
			if r.GetResponseNonce() != "" {
				t.acked(r.GetTypeUrl(), strconv.FormatInt(stream, 10))
			}
			return nil
		},
		StreamDeltaResponseFunc: func(int64, *discovery.DeltaDiscoveryRequest, *discovery.DeltaDiscoveryResponse) { t.responses.Add(1) },
	})
	discovery.RegisterAggregatedDiscoveryServiceServer(e.grpc, s)
	return e, nil
}

func (e *linear) change(i, port int) error {
	return e.endpoints.UpdateResource(clusterName(i), assignment(i, port))
}

func (e *linear) serve(l net.Listener) error { return e.grpc.Serve(l) }
