// Package cors is the filter that tells browsers what scripts of other origins may
// do (Envoy source/extensions/filters/http/cors/cors_filter.cc; the Fetch
// standard, 3.2).
package cors

import (
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
)

// Filter is the filter of one chain.
type Filter struct {
	prefix string
	count  filter.PerWorker[counters]
}

type counters struct{ valid, invalid uint64 }

// policy is a route's.
type policy struct {
	*config.CORSPolicy
	origins []route.Text
}

// New compiles it.
func New(env filter.Env) *Filter {
	return &Filter{prefix: env.Prefix + "cors.", count: filter.NewPerWorker[counters](env.Workers)}
}

// Own compiles a route's policy.
func Own(cfg any) any {
	c, ok := cfg.(*config.CORSPolicy)
	if !ok {
		return nil
	}
	p := &policy{CORSPolicy: c}
	for i := range c.Origins {
		p.origins = append(p.origins, route.CompileText(&c.Origins[i]))
	}
	return p
}

// policies are those of a request's levels, most specific first: each field is
// that of the first which gives it.
type policies []any

func (all policies) text(field func(*policy) string) string {
	for _, own := range all {
		if v := field(own.(*policy)); v != "" {
			return v
		}
	}
	return ""
}

func (all policies) flag(field func(*policy) *bool, def bool) bool {
	for _, own := range all {
		if v := field(own.(*policy)); v != nil {
			return *v
		}
	}
	return def
}

func (all policies) share(field func(*policy) *config.Fraction) *config.Fraction {
	for _, own := range all {
		if v := field(own.(*policy)); v != nil {
			return v
		}
	}
	return nil
}

func (all policies) allows(origin []byte) bool {
	for _, own := range all {
		if p := own.(*policy); len(p.origins) > 0 {
			return p.allows(origin)
		}
	}
	return false
}

func (p *policy) allows(origin []byte) bool {
	for i := range p.origins {
		if p.origins[i].Match([]byte("*")) || p.origins[i].Match(origin) {
			return true
		}
	}
	return false
}

// Serve answers preflights and marks the answers of others.
func (f *Filter) Serve(r *filter.Request) {
	all := policies(r.Owns())
	on := all.share(func(p *policy) *config.Fraction { return p.Enabled })
	enabled := len(all) > 0 && (on == nil || filter.Chosen(on, r.Worker.Rand()))
	shadow := !enabled && filter.Chosen(all.share(func(p *policy) *config.Fraction { return p.Shadow }), r.Worker.Rand())
	origin, _ := r.Headers.Get("origin")
	if len(origin) == 0 || !enabled && !shadow || !forwards(r) {
		r.Next()
		return
	}
	c, allowed := f.count.On(r.Worker), all.allows(origin)
	if allowed {
		c.valid++
	} else {
		c.invalid++
	}
	method, _ := r.Headers.Get("access-control-request-method")
	preflight := enabled && string(r.View.Method) == "OPTIONS" && len(method) > 0
	switch {
	case shadow:
		r.Next()
	case preflight && (allowed || !all.flag(func(p *policy) *bool { return p.ForwardOther }, true)):
		all.answer(r, origin, method, allowed)
		if allowed && !r.Over() {
			all.mark(r, origin)
		}
	case r.Next() && allowed:
		all.mark(r, origin)
	}
}

// forwards reports whether the request has a route that is forwarded.
func forwards(r *filter.Request) bool {
	_, target := r.Route()
	return target != nil
}

// answer answers a preflight.
func (all policies) answer(r *filter.Request, origin, method []byte, allowed bool) {
	a := &filter.Reply{Outcome: outcome.OK, Status: 200, Empty: true, Raw: true, Details: "cors_response"}
	add := func(name, value string) {
		if value != "" {
			a.Headers = append(a.Headers, http1.Header{Name: []byte(name), Value: []byte(value)})
		}
	}
	// either is value, or what the request names if value is "*".
	either := func(value string, asked []byte) string {
		if value == "*" {
			return string(asked)
		}
		return value
	}
	if allowed {
		add("access-control-allow-origin", string(origin))
	}
	if all.credentials() {
		add("access-control-allow-credentials", "true")
	}
	headers, _ := r.Headers.Get("access-control-request-headers")
	add("access-control-allow-methods", either(all.text(func(p *policy) string { return p.Methods }), method))
	add("access-control-allow-headers", either(all.text(func(p *policy) string { return p.Headers }), headers))
	add("access-control-max-age", all.text(func(p *policy) string { return p.MaxAge }))
	private := all.flag(func(p *policy) *bool { return p.PrivateNetwork }, false)
	if v, _ := r.Headers.Get("access-control-request-private-network"); private && string(v) == "true" {
		add("access-control-allow-private-network", "true")
	}
	r.Reply(a)
}

func (all policies) credentials() bool {
	return all.flag(func(p *policy) *bool { return p.Credentials }, false)
}

// mark marks an answer to an origin that is allowed.
func (all policies) mark(r *filter.Request, origin []byte) {
	h := r.AnswerHeaders
	h.Put("access-control-allow-origin", origin)
	if all.credentials() {
		h.Set("access-control-allow-credentials", "true")
	}
	if v := all.text(func(p *policy) string { return p.Expose }); v != "" {
		h.Set("access-control-expose-headers", v)
	}
}

// Stats yields the filter's counters.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	c := f.count.On(w)
	yield(f.prefix+"origin_valid", c.valid)
	yield(f.prefix+"origin_invalid", c.invalid)
}
