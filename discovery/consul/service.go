package consul

// One service, watched: by a blocking query, or by executing a prepared one.

import (
	"context"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/attache-mesh/attache/discovery"
)

// watch is one service on its way to who asked for it.
type watch struct {
	source *Source
	ref    *reference
	report func(discovery.Report)
	last   *discovery.Set
}

func (w *watch) name() string { return "service " + w.ref.name }

func (w *watch) failed(err error) { w.report(discovery.Report{Err: err}) }

// hold is nothing to a service.
func (w *watch) hold(d time.Duration) time.Duration { return d }

// ask is query's.
func (w *watch) ask(client *api.Client, opts *api.QueryOptions) (func(time.Duration) error, *api.QueryMeta, error) {
	w.ref.narrow(opts)
	opts.Filter, opts.Peer = w.ref.filter, w.ref.peer
	entries, meta, err := client.Health().ServiceMultipleTags(w.ref.name, w.ref.tags, w.ref.passing, opts)
	if err == nil {
		err = doubt(entries, meta)
	}
	if err != nil {
		return nil, nil, err
	}
	return func(behind time.Duration) error { return w.take(entries, "", behind) }, meta, nil
}

// narrow says where a query looks.
func (r *reference) narrow(opts *api.QueryOptions) {
	opts.Datacenter, opts.Namespace, opts.Partition, opts.Near = r.datacenter, r.namespace, r.partition, r.near
}

// doubt tells an empty answer from one that only looks like it.
func doubt(entries []*api.ServiceEntry, meta *api.QueryMeta) error {
	switch {
	case entries == nil:
		return errNoList
	case len(entries) > 0:
		return nil
	case meta.LastIndex == 0:
		return errNoIndex
	case meta.ResultsFilteredByACLs:
		return errHidden
	}
	return nil
}

// poll executes a prepared query again and again: Consul does not hold those.
func (s *Source) poll(ctx context.Context, w *watch) {
	s.watches.Add(1)
	defer s.watches.Add(-1)
	for failures := 0; ; {
		err := s.execute(ctx, w)
		if ctx.Err() != nil {
			return
		}
		delay := s.conf.Poll - s.random(s.conf.Poll/8)
		if err != nil {
			failures++
			s.Counters.Failures.Add(1)
			w.failed(failure("prepared query "+w.ref.name, err))
			delay = s.backoff(failures)
		} else {
			failures = 0
		}
		if !sleep(ctx, delay) {
			return
		}
	}
}

// execute runs the prepared query once.
func (s *Source) execute(ctx context.Context, w *watch) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	within, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	first := s.first.Load()
	opts := api.QueryOptions{AllowStale: s.conf.Stale}
	w.ref.narrow(&opts)
	s.Counters.Queries.Add(1)
	answer, meta, err := s.clients[first].PreparedQuery().Execute(w.ref.name, opts.WithContext(within))
	if err != nil {
		s.first.CompareAndSwap(first, (first+1)%uint32(len(s.clients)))
		return err
	}
	if answer == nil || answer.Nodes == nil {
		return errNoList
	}
	entries := make([]*api.ServiceEntry, len(answer.Nodes))
	for i := range answer.Nodes {
		entries[i] = &answer.Nodes[i]
	}
	if len(entries) == 0 && meta.ResultsFilteredByACLs {
		return errHidden
	}
	return w.take(entries, answer.Datacenter, age(meta))
}

// take reports an answer as a set; an equal one as the set that was.
func (w *watch) take(entries []*api.ServiceEntry, datacenter string, behind time.Duration) error {
	if w.ref.limit > 0 && len(entries) > w.ref.limit {
		entries = entries[:w.ref.limit]
	}
	instances, unusable := w.source.instances(w.ref, entries)
	if len(instances) == 0 && len(unusable) > 0 {
		return unusable[0]
	}
	w.source.Counters.Answers.Add(1)
	set, _ := discovery.MakeSet("", instances) // identities are unique
	if w.last == nil || w.last.Version != set.Version {
		w.last = set
		w.source.Counters.LeftOut.Add(uint64(len(unusable)))
		if len(unusable) > 0 {
			w.source.conf.Log.Warn("consul instances left out", "service", w.ref.name, "datacenter", datacenter,
				"left_out", len(unusable), "first", unusable[0])
		}
	}
	w.report(discovery.Report{Set: w.last, Behind: behind})
	return nil
}
