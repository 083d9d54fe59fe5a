package main

// What is followed in the cluster beside the services of sources: Ambassadors,
// and routes of the Gateway API.

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/attache-mesh/attache/discovery/kube"
)

// followCluster begins to follow what the flags ask for. stop ends that, and
// waits.
func (p *program) followCluster(ctx context.Context) (stop func(), err error) {
	if p.f.ambassadors == "" && p.f.gatewayRoutes == "" {
		return func() {}, nil
	}
	connection, err := (&kube.Config{Kubeconfig: p.f.kubeconfig}).Connection()
	if err != nil {
		return nil, fmt.Errorf("--ambassadors, --gateway-routes: %w", err)
	}
	if p.f.ambassadors != "" {
		if p.resources, err = newResources(connection, namespacesOf(p.f.ambassadors), p.log); err != nil {
			return nil, fmt.Errorf("--ambassadors: %w", err)
		}
	}
	if p.f.gatewayRoutes != "" {
		if p.routes, err = newRoutes(connection, namespacesOf(p.f.gatewayRoutes), p.log); err != nil {
			return nil, fmt.Errorf("--gateway-routes: %w", err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	leading, err := p.lead(ctx, connection, &running)
	if err != nil {
		cancel()
		return nil, err
	}
	if p.resources != nil {
		running.Go(func() { p.resources.watcher.Run(ctx, p.takeResources) })
		running.Go(func() { p.tellResources(ctx, leading) })
	}
	if p.routes != nil {
		for i := range p.routes.watchers {
			running.Go(func() { p.routes.watchers[i].Run(ctx, func() { p.takeRoutes(i) }) })
		}
		running.Go(func() { p.tellRoutes(ctx, leading) })
	}
	return func() { cancel(); running.Wait() }, nil
}

// namespacesOf reads a flag: names with commas, or all, which is none.
func namespacesOf(flag string) []string {
	if flag == "all" {
		return nil
	}
	return strings.Split(flag, ",")
}

// whole is the file's content with what the cluster adds to it. taking is held.
func (p *program) whole(base *loaded) *loaded { return p.withRoutes(p.withResources(base)) }

// waitFor waits until listed is closed, and says now and then that and why the
// port stays closed.
func waitFor(ctx context.Context, log *slog.Logger, listed <-chan struct{}, what string, trouble func() string) {
	remind := time.NewTicker(15 * time.Second)
	defer remind.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-listed:
			return
		case <-remind.C:
			log.Warn("the port stays closed: the API server has not said which "+what+" there are", "reason", trouble())
		}
	}
}
