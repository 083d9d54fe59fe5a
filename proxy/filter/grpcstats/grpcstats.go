// Package grpcstats is the filter that counts gRPC's messages and statuses for the
// cluster of each request, and Connect's
// (Envoy source/extensions/filters/http/grpc_stats/grpc_stats_filter.cc,
// source/common/grpc/context_impl.cc).
package grpcstats

import (
	"bytes"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg   *config.GRPCStats
	allow map[[2]string]struct{} // service and method
	local filter.PerWorker[local]
}

// New compiles it.
func New(cfg *config.GRPCStats, env filter.Env) *Filter {
	f := &Filter{cfg: cfg, local: filter.NewPerWorker[local](env.Workers)}
	f.allow = make(map[[2]string]struct{}, len(cfg.Methods))
	for _, m := range cfg.Methods {
		f.allow[[2]string{m.Service, m.Method}] = struct{}{}
	}
	return f
}

// Stats yields the counters, under the names of their clusters.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	f.local.On(w).stats(f.cfg.ReplaceDots && f.cfg.All, yield)
}

// Serve counts a request and its answer. The cluster is that of the route which
// the request has when it comes to the filter.
func (f *Filter) Serve(r *filter.Request) {
	kind, _ := r.Headers.Get("content-type")
	version, _ := r.Headers.Get("connect-protocol-version")
	streaming := isConnect(kind)
	if len(r.View.Path) == 0 || r.Upgrade || !isGRPC(kind) && !streaming && len(version) == 0 {
		r.Next()
		return
	}
	c := &call{f: f, r: r, grpc: isGRPC(kind), streaming: streaming, unary: len(version) > 0}
	c.count = f.counters(r)
	if b := r.Body(); b != nil {
		r.SetBody(&request{c, b}, filter.Same)
	}
	if r.Next() {
		c.head()
	}
}

// counters are those of the request; nil if it is not counted: it has no cluster,
// or its path is not that of a method.
func (f *Filter) counters(r *filter.Request) *counters {
	k := r.Cluster()
	service, method, ok := names(r.View.Path)
	if k == nil || !ok {
		return nil
	}
	l := f.local.On(r.Worker)
	named := f.cfg.All
	if !named {
		_, named = f.allow[[2]string{string(service), string(method)}]
	}
	if !named {
		return l.of(k.StatName, nil, nil, false)
	}
	return l.of(k.StatName, service, method, f.cfg.All)
}

// names are the service and the method that a path calls: it has two parts
// (Grpc::Common::resolveServiceAndMethod).
func names(path []byte) (service, method []byte, ok bool) {
	path, _, _ = bytes.Cut(path, []byte{'?'})
	service, rest := part(path)
	method, rest = part(rest)
	more, _ := part(rest)
	return service, method, len(method) > 0 && len(more) == 0
}

// part takes the first part of a path that is not empty.
func part(path []byte) (first, rest []byte) {
	path = bytes.TrimLeft(path, "/")
	first, rest, _ = bytes.Cut(path, []byte{'/'})
	return first, rest
}

func isGRPC(kind []byte) bool {
	rest, ok := bytes.CutPrefix(kind, []byte("application/grpc"))
	return ok && (len(rest) == 0 || rest[0] == '+')
}

// isConnect reports whether a content type is that of Connect's streams.
func isConnect(kind []byte) bool { return bytes.HasPrefix(kind, []byte("application/connect+")) }
