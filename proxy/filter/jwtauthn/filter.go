// Package jwtauthn is the filter that lets requests pass which have good tokens
// (JSON Web Tokens), and answers others 401 or 403
// (Envoy source/extensions/filters/http/jwt_authn; jwt_verify_lib).
//
//	request ─▶ rule ─▶ requirement: tokens ─▶ issuer, times, audience ─▶ keys ─▶ signature
//	                                                                      │
//	                             local, or fetched when first needed (callout)
//
// A signature is checked where the request runs: an RSA one of 2048 bits takes some
// eight times what reading its token does (BenchmarkVerify), tens of microseconds,
// less than is worth a way to another goroutine and back. jwt_cache_config saves it.
package jwtauthn

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/route"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg       *config.JWT
	env       filter.Env
	providers []provider
	rules     *route.Table[struct{}] // a route is a rule, by its number
	requires  []*requirement         // by rule
	named     map[string]*requirement
	byState   map[string]*requirement
	local     filter.PerWorker[local]
}

// provider is a config.JWTProvider with its keys.
type provider struct {
	cfg        *config.JWTProvider
	number     int
	audiences  map[string]bool
	subject    route.Text // if the config has one
	set        atomic.Pointer[keySet]
	refreshing atomic.Bool
}

// New compiles it. An error says which provider's keys cannot be read.
func New(cfg *config.JWT, env filter.Env) (*Filter, error) {
	f := &Filter{
		cfg: cfg, env: env, providers: make([]provider, len(cfg.Providers)),
		named: map[string]*requirement{}, byState: map[string]*requirement{}, local: filter.NewPerWorker[local](env.Workers),
	}
	for i := range cfg.Providers {
		p := &f.providers[i]
		p.cfg, p.number, p.audiences = &cfg.Providers[i], i, audiences(cfg.Providers[i].Audiences)
		if p.cfg.Subject != nil {
			p.subject = route.CompileText(p.cfg.Subject)
		}
		if err := p.readKeys(); err != nil {
			return nil, fmt.Errorf("provider %s: local_jwks: %w", p.cfg.Name, err)
		}
	}
	host := config.VirtualHost{Name: "rules", Domains: []string{"*"}}
	for i := range cfg.Rules {
		f.requires = append(f.requires, f.compile(cfg.Rules[i].Requires))
		host.Routes = append(host.Routes, &config.Route{Name: strconv.Itoa(i), Match: cfg.Rules[i].Match, Action: &config.Direct{Status: 200}})
	}
	for name, q := range cfg.Named {
		f.named[name] = f.compile(q)
	}
	for value, q := range cfg.ByState {
		f.byState[value] = f.compile(q)
	}
	var err error
	f.rules, err = route.Compile(&config.RouteTable{VirtualHosts: []*config.VirtualHost{&host}}, func(string) (struct{}, bool) { return struct{}{}, false })
	return f, err
}

// readKeys reads local keys. As in Envoy a set that is none makes every token
// fail, and a file that is not there is an error.
func (p *provider) readKeys() error {
	d := p.cfg.Local
	var text []byte
	switch {
	case d.Path != "":
		var err error
		if text, err = os.ReadFile(d.Path); err != nil {
			return err
		}
	case d.Env != "":
		text = []byte(os.Getenv(d.Env))
	case !d.Inline.IsZero():
		text = []byte(d.Inline.Reveal())
	default:
		return nil
	}
	if keys, err := parseKeys(text); err == nil {
		p.set.Store(&keySet{keys: keys})
	}
	return nil
}

// Own compiles what a route says of it.
func Own(cfg any) any {
	if r, ok := cfg.(*config.JWTRoute); ok {
		return r
	}
	return nil
}

// Serve checks a request.
func (f *Filter) Serve(r *filter.Request) {
	n := f.local.On(r.Worker)
	if f.cfg.BypassPreflight && preflight(r) {
		n.bypassed++
		n.allowed++
		r.Next()
		return
	}
	q, err := f.required(r)
	if err != "" {
		n.denied++
		f.refuse(r, 403, "Failed JWT authentication: "+err, err, nil)
		return
	}
	uri := ""
	if q != nil {
		uri = original(r)
	}
	c := check{f: f, r: r}
	s := c.meets(q)
	switch {
	case c.gone:
		return
	case s != statusOK:
		n.denied++
		code, value := 401, `Bearer realm="`+uri+`"`
		if s == statusAudience {
			code = 403
		}
		if s != statusMissed {
			value += `, error="invalid_token"`
		}
		f.refuse(r, code, s.String(), s.String(), []http1.Header{callout.Field("www-authenticate", value)})
		return
	}
	n.allowed++
	if c.clear {
		r.ClearRoute()
	}
	r.Next()
}

// required is what is asked of the request: what its route names, or the first
// rule that matches it, or what is asked of such a filter state. nil: nothing.
func (f *Filter) required(r *filter.Request) (q *requirement, err string) {
	if own, ok := r.Own().(*config.JWTRoute); ok {
		if own.Disabled {
			return nil, ""
		}
		q, known := f.named[own.Name]
		if !known {
			return nil, "Wrong requirement_name: " + own.Name + ". It should be one of [" + f.names() + "]"
		}
		return q, ""
	}
	if at := f.rules.Match(r.Matched(), r.Worker.Rand().Uint64()); at != nil {
		i, _ := strconv.Atoi(at.Name)
		return f.requires[i], ""
	}
	if f.cfg.State != "" {
		if o := r.Info.State.Get(f.cfg.State); o != nil {
			return f.byState[o.Text], ""
		}
	}
	return nil, ""
}

func (f *Filter) names() string {
	return strings.Join(slices.Sorted(maps.Keys(f.named)), ",")
}

func (f *Filter) byIssuer(iss string) *provider {
	for i := range f.providers {
		if f.providers[i].cfg.Issuer == iss {
			return &f.providers[i]
		}
	}
	for i := range f.providers {
		if f.providers[i].cfg.Issuer == "" {
			return &f.providers[i]
		}
	}
	return nil
}

func (f *Filter) refuse(r *filter.Request, code int, body, why string, lines []http1.Header) {
	details := "jwt_authn_access_denied{" + strings.ReplaceAll(why, " ", "_") + "}"
	if f.cfg.StripFailure {
		r.Reply(&filter.Reply{Status: code, Empty: true, Details: details})
		return
	}
	r.Reply(&filter.Reply{Status: code, Body: body, Headers: lines, Details: details})
}

// preflight reports whether it is a CORS preflight.
func preflight(r *filter.Request) bool {
	origin, _ := r.Headers.Get("origin")
	method, _ := r.Headers.Get("access-control-request-method")
	return string(r.View.Method) == "OPTIONS" && len(origin) > 0 && len(method) > 0
}

// original is the address that the client asked for; its path is cut at 256 bytes
// (Http::Utility::buildOriginalUri).
func original(r *filter.Request) string {
	path := r.View.Path
	if p, ok := r.Headers.Get("x-envoy-original-path"); ok {
		path = p
	}
	if len(path) > 256 {
		path = path[:256]
	}
	return string(r.View.Scheme) + "://" + string(r.View.Host) + string(path)
}

// local is what a worker has of the filter.
type local struct {
	allowed, denied, bypassed uint64
	fetched, failed           uint64
	hits, misses              uint64
	caches                    []cache // by provider
}

// cache are tokens of one provider that were verified; the zero value keeps none.
type cache struct {
	n     *local
	most  int // tokens
	limit int // of a token's bytes
	by    map[string]*token
	order []string // oldest first
}

// cacheOf is the cache of a provider; nil for none.
func (n *local) cacheOf(p *provider) *cache {
	if p == nil {
		return nil
	}
	for len(n.caches) <= p.number {
		n.caches = append(n.caches, cache{})
	}
	c := &n.caches[p.number]
	c.n, c.most, c.limit = n, p.cfg.Cache, p.cfg.CacheToken
	return c
}

func (c *cache) get(text []byte) *token {
	if c == nil {
		return nil
	}
	t := c.by[string(text)]
	if t != nil {
		c.n.hits++
	} else {
		c.n.misses++
	}
	return t
}

func (c *cache) put(text []byte, t *token) {
	if c == nil || c.most <= 0 || len(text) > c.limit {
		return
	}
	if c.by == nil {
		c.by = map[string]*token{}
	}
	if len(c.order) >= c.most {
		delete(c.by, c.order[0])
		c.order = c.order[1:]
	}
	c.by[string(text)] = t
	c.order = append(c.order, string(text))
}

// Stats yields what worker w has counted.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	n, p := f.local.On(w), f.env.Prefix+"jwt_authn."
	if f.cfg.StatPrefix != "" {
		p += f.cfg.StatPrefix + "."
	}
	yield(p+"allowed", n.allowed)
	yield(p+"denied", n.denied)
	yield(p+"cors_preflight_bypassed", n.bypassed)
	yield(p+"jwks_fetch_success", n.fetched)
	yield(p+"jwks_fetch_failed", n.failed)
	yield(p+"jwt_cache_hit", n.hits)
	yield(p+"jwt_cache_miss", n.misses)
}
