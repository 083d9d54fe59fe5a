// Package buffer is the filter that lets a request go on when all of it has come,
// with the length that it then has, or answers 413 if it is too long
// (Envoy source/extensions/filters/http/buffer/buffer_filter.cc).
package buffer

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
)

// Filter is the filter of one chain.
type Filter struct{ limit int }

// New compiles it.
func New(cfg *config.Buffer) *Filter { return &Filter{limit: int(cfg.MaxBytes)} }

// Own compiles what a route says of it.
func Own(cfg any) any {
	if r, ok := cfg.(*config.BufferRoute); ok {
		return r
	}
	return nil
}

// Serve waits for the whole request.
func (f *Filter) Serve(r *filter.Request) {
	limit := f.limit
	if own, ok := r.Own().(*config.BufferRoute); ok {
		if own.Disabled {
			r.Next()
			return
		}
		limit = int(own.MaxBytes)
	}
	if _, ok := r.Buffer(limit); ok {
		r.Next()
	}
}
