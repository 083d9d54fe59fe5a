package client

// Load reports: to where the bootstrap says, of all clusters; and to where a
// cluster says, of those that say so.

import (
	"context"
	"reflect"
	"slices"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/client/loadreport"
)

// report is one stream of load reports.
type report struct {
	to   *config.APISource
	of   map[string]bool // clusters; nil for all. Replaced, not changed
	stop context.CancelFunc
}

// reporting brings the streams to what the snapshot asks for.
func (c *Client) reporting(ctx context.Context) {
	if c.o.Loads == nil || c.snapshot == nil {
		return
	}
	var want []*report
	add := func(to *config.APISource, cluster string) {
		for _, r := range want {
			if r.to == to || reflect.DeepEqual(r.to, to) {
				if r.of != nil {
					r.of[cluster] = true
				}
				return
			}
		}
		want = append(want, &report{to: to, of: map[string]bool{cluster: true}})
	}
	if c.o.LoadReports != nil {
		want = append(want, &report{to: c.o.LoadReports})
	}
	for _, cluster := range c.snapshot.Clusters {
		switch s := cluster.LoadReports; {
		case s == nil:
		case s.Kind == config.SourceADS && c.o.ADS != nil:
			add(c.o.ADS, cluster.Name)
		case s.Kind == config.SourceAPI:
			add(s.API, cluster.Name)
		}
	}
	for _, r := range c.reports {
		if !slices.ContainsFunc(want, func(w *report) bool { return reflect.DeepEqual(w.to, r.to) }) {
			r.stop()
		}
	}
	for i, w := range want {
		j := slices.IndexFunc(c.reports, func(r *report) bool { return reflect.DeepEqual(w.to, r.to) })
		if j >= 0 {
			c.reports[j].of = w.of
			want[i] = c.reports[j]
			continue
		}
		c.startReport(ctx, w)
	}
	c.reports = want
}

func (c *Client) startReport(ctx context.Context, r *report) {
	ctx, r.stop = context.WithCancel(ctx)
	servers, look, err := c.reach(r.to)
	if err != nil {
		c.log.Error("xds: load cannot be reported", "error", err)
		return
	}
	o := loadreport.Options{Servers: servers, Look: look, Node: c.o.Node, MaxAge: c.o.MaxConnectionAge, Clusters: func() []loadreport.Cluster {
		return c.o.Loads(func(cluster string) bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return r.of == nil || r.of[cluster]
		})
	}}
	c.running.Go(func() { loadreport.Run(ctx, o) })
}
