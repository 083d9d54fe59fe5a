// Package apikeyauth is the filter that asks for a key
// (Envoy source/extensions/filters/http/api_key_auth/api_key_auth.cc).
package apikeyauth

import (
	"slices"
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg    *config.APIKeyAuth
	prefix string
	count  filter.PerWorker[counters]
}

type counters struct{ allowed, unauthorized, forbidden uint64 }

// New compiles it.
func New(cfg *config.APIKeyAuth, env filter.Env) *Filter {
	return &Filter{cfg: cfg, prefix: env.Prefix + "api_key_auth.", count: filter.NewPerWorker[counters](env.Workers)}
}

// Own compiles what a route says of it.
func Own(cfg any) any {
	if c, ok := cfg.(*config.APIKeyAuth); ok {
		return c
	}
	return nil
}

// Serve lets those pass whose key is known.
func (f *Filter) Serve(r *filter.Request) {
	cfg := f.settings(r)
	c := f.count.On(r.Worker)
	client, why := check(r, &cfg)
	switch {
	case why != "":
		c.unauthorized++
		r.Reply(&filter.Reply{Outcome: outcome.Unauthenticated, Status: 401, Body: "Client authentication failed.", Details: why})
		return
	case len(cfg.Allowed) > 0 && !slices.Contains(cfg.Allowed, client):
		c.forbidden++
		r.Reply(&filter.Reply{Outcome: outcome.Denied, Status: 403, Body: "Client is forbidden.", Details: "client_not_allowed"})
		return
	}
	if fwd := cfg.Forward; fwd != nil {
		if fwd.Header != "" {
			r.Headers.Set(fwd.Header, client)
		}
		if fwd.Hide {
			hide(r, cfg.Sources)
		}
	}
	c.allowed++
	r.Next()
}

// settings are the filter's, as far as the route does not say otherwise.
func (f *Filter) settings(r *filter.Request) config.APIKeyAuth {
	cfg := *f.cfg
	if own, ok := r.Own().(*config.APIKeyAuth); ok {
		cfg.Allowed = own.Allowed
		if own.Clients != nil {
			cfg.Clients = own.Clients
		}
		if len(own.Sources) > 0 {
			cfg.Sources = own.Sources
		}
		if own.Forward != nil {
			cfg.Forward = own.Forward
		}
	}
	return cfg
}

// check finds whose key it is, or says why it is nobody's. The last text is
// Envoy's own.
func check(r *filter.Request, cfg *config.APIKeyAuth) (client, why string) {
	switch {
	case len(cfg.Sources) == 0:
		return "", "missing_key_sources"
	case cfg.Clients == nil:
		return "", "missing_credentials"
	}
	for _, s := range cfg.Sources {
		key := find(r, s)
		if key == "" {
			continue
		}
		if client, ok := cfg.Clients[key]; ok {
			return client, ""
		}
		return "", "unkonwn_api_key"
	}
	return "", "missing_api_key"
}

func find(r *filter.Request, s config.KeySource) (key string) {
	switch {
	case s.Header != "":
		v, _ := r.Headers.Get(s.Header)
		return strings.TrimPrefix(string(v), "Bearer ")
	case s.Query != "":
		q := filter.ParseQuery(r.View.Path)
		key, _ = q.Get(s.Query)
	default:
		key, _ = filter.Cookie(r.Headers, s.Cookie)
	}
	return key
}

// hide takes the keys out of the request.
func hide(r *filter.Request, sources []config.KeySource) {
	for _, s := range sources {
		switch {
		case s.Header != "":
			r.Headers.Remove(s.Header)
		case s.Query != "":
			q := filter.ParseQuery(r.View.Path)
			q.Remove(s.Query)
			r.View.Path = q.Replace(r.View.Path)
		default:
			filter.RemoveCookie(r.Headers, s.Cookie)
		}
	}
}

// Stats yields the filter's counters.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	c := f.count.On(w)
	yield(f.prefix+"allowed", c.allowed)
	yield(f.prefix+"unauthorized", c.unauthorized)
	yield(f.prefix+"forbidden", c.forbidden)
}
