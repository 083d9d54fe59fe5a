// Package setmetadata is the filter that notes fixed metadata of requests
// (Envoy source/extensions/filters/http/set_metadata/set_metadata_filter.cc).
package setmetadata

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
)

// Filter is the filter of one chain.
type Filter struct{ sets []config.MetadataSet }

// New compiles it.
func New(cfg *config.SetMetadata) *Filter { return &Filter{cfg.Sets} }

// Serve notes it.
func (f *Filter) Serve(r *filter.Request) {
	m := &r.Info.Metadata
	for i := range f.sets {
		s := &f.sets[i]
		if !s.Merge && len(m.All()[s.Namespace]) > 0 {
			if !s.Overwrite {
				continue
			}
			m.Drop(s.Namespace)
		}
		m.Set(s.Namespace, s.Fields)
	}
	r.Next()
}
