// Package csrf is the filter that refuses requests which change something and
// come from a page of another origin
// (Envoy source/extensions/filters/http/csrf/csrf_filter.cc).
package csrf

import (
	"bytes"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
)

// Filter is the filter of one chain.
type Filter struct {
	prefix string
	main   *policy
	count  filter.PerWorker[counters]
}

type counters struct{ missing, invalid, valid uint64 }

type policy struct {
	*config.CSRF
	origins []route.Text
}

// New compiles it.
func New(cfg *config.CSRF, env filter.Env) *Filter {
	return &Filter{prefix: env.Prefix + "csrf.", main: compile(cfg), count: filter.NewPerWorker[counters](env.Workers)}
}

func compile(cfg *config.CSRF) *policy {
	p := &policy{CSRF: cfg}
	for i := range cfg.Origins {
		p.origins = append(p.origins, route.CompileText(&cfg.Origins[i]))
	}
	return p
}

// Own compiles what a route says of it.
func Own(cfg any) any {
	if c, ok := cfg.(*config.CSRF); ok {
		return compile(c)
	}
	return nil
}

// Serve lets the request pass if it comes from where it may.
func (f *Filter) Serve(r *filter.Request) {
	p := f.main
	if own, ok := r.Own().(*policy); ok {
		p = own
	}
	enforced := filter.Chosen(p.Enabled, r.Worker.Rand())
	if !changes(r.View.Method) || !enforced && !filter.Chosen(p.Shadow, r.Worker.Rand()) {
		r.Next()
		return
	}
	c, source := f.count.On(r.Worker), sourceOf(r)
	valid := len(source) > 0 && (bytes.Equal(source, hostOf(r.View.Host)) || p.allows(source))
	switch {
	case valid:
		c.valid++
	case len(source) == 0:
		c.missing++
	default:
		c.invalid++
	}
	if valid || !enforced {
		r.Next()
		return
	}
	r.Reply(&filter.Reply{Outcome: outcome.Denied, Status: 403, Body: "Invalid origin", Details: "csrf_origin_mismatch"})
}

func changes(method []byte) bool {
	switch string(method) {
	case "POST", "PUT", "DELETE", "PATCH":
		return true
	}
	return false
}

func (p *policy) allows(source []byte) bool {
	for i := range p.origins {
		if p.origins[i].Match(source) {
			return true
		}
	}
	return false
}

// sourceOf is the host of the page that sends the request.
func sourceOf(r *filter.Request) []byte {
	v, _ := r.Headers.Get("origin")
	if len(v) == 0 || string(v) == "null" {
		if v, _ = r.Headers.Get("referer"); len(v) == 0 {
			return nil
		}
	}
	return hostOf(v)
}

// hostOf is host and port of a URL; what is none is given as it is (Http::Utility::
// Url::hostAndPort).
func hostOf(v []byte) []byte {
	_, rest, ok := bytes.Cut(v, []byte("://"))
	if !ok {
		return v
	}
	if i := bytes.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if i := bytes.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	return rest
}

// Stats yields the filter's counters.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	c := f.count.On(w)
	yield(f.prefix+"missing_source_origin", c.missing)
	yield(f.prefix+"request_invalid", c.invalid)
	yield(f.prefix+"request_valid", c.valid)
}
