package main

// Resources that come from a control plane or from files of their own.

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/bootstrap"
	"github.com/attache-mesh/attache/xds/client"
	"github.com/attache-mesh/attache/xds/client/cache"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

// newClient makes the client that p's server is driven by.
func (p *program) newClient(b *bootstrap.Bootstrap) (*client.Client, error) {
	decoding := b.Decoding(b.Runtime)
	decoding.AllowUnknown = true // of what comes over xDS Envoy only warns
	o := client.Options{
		Node: b.NodeProto(version),
		ADS:  b.Dynamic.ADS,
		Runtime: func(layers map[string]*structpb.Struct) (envoyv3.Runtime, []envoyv3.Problem) {
			return b.RuntimeWith(layers)
		},
		Static: func(envoyv3.Runtime) config.Resources { return b.Resources },
		Planes: b.ControlPlanes, Secrets: b.Secrets,
		Decode: decoding,
		Apply:  p.server.Apply, MaxConnectionAge: p.f.maxConnectionAge, Log: p.log,
		LoadReports: b.Dynamic.LoadReports, Loads: p.loads,
	}
	if b.Dynamic.LDS != nil {
		o.LDS = *b.Dynamic.LDS
	}
	if b.Dynamic.CDS != nil {
		o.CDS = *b.Dynamic.CDS
	}
	for _, l := range b.Dynamic.RTDS {
		o.Layers = append(o.Layers, client.Layer{Name: l.Name, Source: l.Source})
	}
	if len(o.Layers) > 0 {
		o.Static = b.ResourcesWith
	}
	if p.f.configCache != "" {
		o.Cache = &cache.Dir{Path: p.f.configCache, NodeID: b.Node.ID, NodeCluster: b.Node.Cluster, MaxAge: p.f.configCacheMaxAge}
	}
	return client.New(o)
}

// follow runs the client until ctx is done, and makes the program ready when
// the client is.
func (p *program) follow(ctx context.Context) {
	done := make(chan struct{})
	defer func() { <-done }()
	go func() {
		defer close(done)
		select {
		case <-p.client.Ready():
			p.becomeReady()
		case <-ctx.Done():
		}
	}()
	p.client.Run(ctx)
}

// becomeReady is said once, when everything needed is live.
func (p *program) becomeReady() {
	p.ready.Store(true)
	settle()
	listeners := 0
	for range p.server.ListenerAddrs() {
		listeners++
	}
	p.log.Info("serving", "version", version, "workers", len(p.server.Workers()), "listeners", listeners,
		"clusters", len(p.server.Clusters()), "after", time.Since(p.started).Round(time.Millisecond))
}
