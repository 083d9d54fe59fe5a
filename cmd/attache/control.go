package main

// Resources that come from a control plane or from files of their own.

import (
	"context"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/lifecycle"
	"github.com/attache-mesh/attache/xds/bootstrap"
	"github.com/attache-mesh/attache/xds/client"
	"github.com/attache-mesh/attache/xds/client/cache"
	"github.com/attache-mesh/attache/xds/following"
)

// newClient makes the client that p's server is driven by.
func (p *program) newClient(b *bootstrap.Bootstrap) (*client.Client, error) {
	o := following.Options(b, version)
	o.Apply, o.Log, o.Loads = p.apply, p.log, p.loads
	o.MaxConnectionAge = p.f.maxConnectionAge
	if p.f.configCache != "" {
		o.Cache = &cache.Dir{Path: p.f.configCache, NodeID: b.Node.ID, NodeCluster: b.Node.Cluster, MaxAge: p.f.configCacheMaxAge}
	}
	return client.New(o)
}

// demand asks the control plane for what a request lacks.
func (p *program) demand(d config.Demand, done func(found bool)) {
	if p.client == nil {
		done(false)
		return
	}
	p.client.Demand(d, done)
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
			p.becomeLive()
		case <-ctx.Done():
		}
	}()
	p.client.Run(ctx)
}

// becomeLive is said once, when everything needed is live: then the process before is
// taken over from, and what is required is waited for.
func (p *program) becomeLive() {
	if err := p.takeOver(); err != nil {
		p.log.Error("admin server", "error", err)
	}
	settle()
	listeners := 0
	for range p.server.ListenerAddrs() {
		listeners++
	}
	p.log.Info("serving", "version", version, "workers", len(p.server.Workers()), "listeners", listeners,
		"clusters", len(p.server.Clusters()), "after", time.Since(p.started).Round(time.Millisecond))
	p.awaitRequired()
}

// becomeReady is said once, when nothing is waited for any more.
func (p *program) becomeReady(why string) {
	p.life.Go(lifecycle.Ready, why, 0)
	p.ready.Store(true)
}
