// Package setmetadata is the filter that notes fixed metadata of requests
// (Envoy source/extensions/filters/http/set_metadata/set_metadata_filter.cc).
package setmetadata

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Filter is the filter of one chain.
type Filter struct {
	sets   []config.MetadataSet
	prefix string
	denied filter.PerWorker[uint64]
}

// New compiles it.
func New(cfg *config.SetMetadata, env filter.Env) *Filter {
	return &Filter{cfg.Sets, env.Prefix + "set_metadata.", filter.NewPerWorker[uint64](env.Workers)}
}

// Serve notes it.
func (f *Filter) Serve(r *filter.Request) {
	m := &r.Info.Metadata
	for i := range f.sets {
		s := &f.sets[i]
		there := m.Has
		if s.Message != nil {
			there = m.HasTyped
		}
		switch {
		case !s.Overwrite && there(s.Namespace):
			*f.denied.On(r.Worker)++
		case s.Message != nil:
			m.SetTyped(s.Namespace, *s.Message)
		default:
			m.Update(s.Namespace, s.Fields)
		}
	}
	r.Next()
}

// Stats yields how often something stood where it was not to be changed.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	yield(f.prefix+"overwrite_denied", *f.denied.On(w))
}
