package proxy

// Which clusters have to have answered before the program is ready.

import (
	"context"
	"fmt"
	"slices"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Required are the names of the living clusters whose configuration says so
// (config.Cluster.Required). Any goroutine.
func (s *Server) Required() (names []string) {
	for name, c := range *s.clusters.Load() {
		if c.Config().Required {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// RoundTrip returns when a host of a cluster has answered once, or with the cause of
// ctx. It is asked as the configuration says (config.Cluster.RoundTrip); else questions of
// kind if that is not nil, or as those listeners speak that lead to the cluster: plain
// connections, memcached or HTTP. tell is given what went wrong last. Any goroutine; it
// waits.
func (s *Server) RoundTrip(ctx context.Context, name string, kind *config.HealthCheck, tell func(what string)) error {
	c := s.Cluster(name)
	if c == nil {
		return fmt.Errorf("there is no cluster %q", name)
	}
	if own := c.Config().RoundTrip; own != nil {
		kind = own
	}
	if kind == nil {
		kind = s.question(c)
	}
	if kind.Kind == config.CheckHTTP {
		h := *kind
		h.HTTP.HTTP2 = c.Config().HTTP.Protocol == config.UpstreamHTTP2
		h.ALPN = []string{"http/1.1"}
		if h.HTTP.HTTP2 {
			h.ALPN = []string{"h2"}
		}
		kind = &h
	}
	return c.RoundTrip(ctx, kind, tell)
}

// question is what a cluster is asked that says nothing of it.
func (s *Server) question(c *upstream.Cluster) *config.HealthCheck {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &config.HealthCheck{Kind: config.CheckTCP, Timeout: c.Config().ConnectTimeout, Unhealthy: 1, Healthy: 1}
	for _, l := range s.listeners {
		for _, r := range l.rooms {
			if _, is := r.asked.(*config.Memcached); is && r.clusters[c.Name] != nil {
				h.Kind = config.CheckMemcached
				return h
			}
			if r.routes.leadsTo(c) {
				h.Kind, h.HTTP = config.CheckHTTP, config.HTTPCheck{Method: "HEAD", Path: "/", Expected: []config.StatusRange{{From: 100, To: 600}}}
			}
		}
	}
	return h
}

// leadsTo reports whether a route names the cluster.
func (r *routes) leadsTo(c *upstream.Cluster) bool {
	if r == nil {
		return false
	}
	for named := range r.table.Clusters {
		if named == c {
			return true
		}
	}
	return false
}
