// Package ondemand is the filter that has a request wait for what it lacks, while a
// control plane is asked for it: the virtual host of its host (VHDS), the route table
// of its scope, the cluster of its route
// (Envoy source/extensions/filters/http/on_demand/on_demand_update.cc).
//
// Envoy begins the request anew when what it lacked has come, and that only if no body
// is there yet. Here it is routed anew, and the filters from here on are those of the
// new route; those before have done their part.
package ondemand

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/demand"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg    *config.OnDemand
	desk   *demand.Desk
	prefix string
	count  filter.PerWorker[counters]
}

type counters struct{ asked, found, missing, overflow uint64 }

// New compiles it.
func New(cfg *config.OnDemand, env filter.Env) *Filter {
	return &Filter{cfg: cfg, desk: env.Desk, prefix: env.Prefix + "on_demand.", count: filter.NewPerWorker[counters](env.Workers)}
}

// Own compiles what a route says of it: where clusters are asked for, or that they are
// not.
func Own(cfg any) any {
	if own, ok := cfg.(*config.OnDemand); ok {
		return own
	}
	return nil
}

// Stats yields what worker w has counted.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	c := f.count.On(w)
	yield(f.prefix+"rq_asked", c.asked)
	yield(f.prefix+"rq_found", c.found)
	yield(f.prefix+"rq_missing", c.missing)
	yield(f.prefix+"rq_overflow", c.overflow)
}

// most is how many things one request can lack: a table, a virtual host in it, and the
// cluster of its route.
const most = 3

// Serve waits for what the request lacks. Without it the request goes on all the same,
// and is answered as such.
func (f *Filter) Serve(r *filter.Request) {
	for range most {
		d, lacks := f.lacks(r)
		if !lacks {
			break
		}
		found, alive := f.wait(r, d)
		if !alive {
			return
		}
		if !found {
			break
		}
		r.Reroute()
	}
	r.Next()
}

// wait asks for d and waits; not alive: the request is over.
func (f *Filter) wait(r *filter.Request, d config.Demand) (found, alive bool) {
	c := f.count.On(r.Worker)
	t := f.desk.Ask(r.Worker, d)
	if t == nil {
		c.overflow++
		return false, true
	}
	c.asked++
	if !r.Await(func() { t.Wait() }, t.Cancel) {
		return false, false
	}
	if t.Found() {
		c.found++
		return true, true
	}
	c.missing++
	return false, true
}

// lacks says what the request lacks, if anything that can be asked for.
func (f *Filter) lacks(r *filter.Request) (d config.Demand, lacks bool) {
	_, target := r.Route()
	if d, lacks := r.Lacks(); lacks {
		return d, true
	}
	from := f.cfg.Clusters
	if own, ok := r.Own().(*config.OnDemand); ok {
		from = own.Clusters
	}
	if target == nil || from == nil || r.Cluster() != nil {
		return d, false
	}
	name := target.ClusterName(r.Matched())
	if name == "" || len(name) > maxName {
		return d, false
	}
	return config.Demand{Kind: config.DemandCluster, Name: name, Source: &from.Source, Timeout: from.Timeout}, true
}

// maxName bounds the name of a cluster that a header has, in bytes.
const maxName = 256
