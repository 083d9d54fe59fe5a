// Package basicauth is the filter that asks for a name and a password
// (RFC 7617; Envoy source/extensions/filters/http/basic_auth/basic_auth_filter.cc).
package basicauth

import (
	"bytes"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg    *config.BasicAuth
	header string
	prefix string
	count  filter.PerWorker[counters]
}

type counters struct{ allowed, denied uint64 }

// New compiles it.
func New(cfg *config.BasicAuth, env filter.Env) *Filter {
	f := &Filter{cfg: cfg, header: cfg.Header, prefix: env.Prefix + "basic_auth.", count: filter.NewPerWorker[counters](env.Workers)}
	if f.header == "" {
		f.header = "authorization"
	}
	return f
}

// Own compiles what a route says of it.
func Own(cfg any) any {
	if c, ok := cfg.(*config.BasicAuthRoute); ok {
		return c
	}
	return nil
}

// Serve lets those pass who say who they are.
func (f *Filter) Serve(r *filter.Request) {
	users := f.cfg.Users
	if own, ok := r.Own().(*config.BasicAuthRoute); ok {
		users = own.Users
	}
	user, why := check(r, f.header, users)
	if why != nil {
		f.count.On(r.Worker).denied++
		why.deny(r)
		return
	}
	if f.cfg.ForwardHeader != "" {
		r.Headers.Put(f.cfg.ForwardHeader, user)
	}
	f.count.On(r.Worker).allowed++
	r.Next()
}

// denial is why somebody does not pass.
type denial struct{ text, details string }

// The denials.
var (
	missing   = denial{"Missing username and password.", "no_credential_for_basic_auth"}
	scheme    = denial{"Expected 'Basic' authentication scheme.", "invalid_scheme_for_basic_auth"}
	malformed = denial{"Invalid basic credential format.", "invalid_format_for_basic_auth"}
	wrong     = denial{"Invalid username/password combination.", "invalid_credential_for_basic_auth"}
)

func check(r *filter.Request, header string, users map[string]string) (user []byte, why *denial) {
	v, ok := r.Headers.Get(header)
	if !ok {
		return nil, &missing
	}
	token, ok := bytes.CutPrefix(v, []byte("Basic "))
	if !ok {
		return nil, &scheme
	}
	text, err := base64.RawStdEncoding.DecodeString(string(bytes.TrimRight(token, "=")))
	user, password, ok := bytes.Cut(text, []byte(":"))
	if err != nil || !ok {
		return nil, &malformed
	}
	sum := sha1.Sum(password)
	hash, known := users[string(user)]
	if !known || subtle.ConstantTimeCompare([]byte(base64.StdEncoding.EncodeToString(sum[:])), []byte(hash)) != 1 {
		return nil, &wrong
	}
	return user, nil
}

// maxURI is the longest URI that is told (MaximumUriLength).
const maxURI = 256

func (d *denial) deny(r *filter.Request) {
	v := r.View
	path := v.Path
	uri := string(v.Scheme) + "://" + string(v.Host) + string(path[:min(len(path), maxURI)])
	r.Reply(&filter.Reply{
		Outcome: outcome.Unauthenticated, Status: 401,
		Body: "User authentication failed. " + d.text, Details: d.details,
		Headers: []http1.Header{{Name: []byte("www-authenticate"), Value: []byte(`Basic realm="` + uri + `"`)}},
	})
}

// Stats yields the filter's counters.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	c := f.count.On(w)
	yield(f.prefix+"allowed", c.allowed)
	yield(f.prefix+"denied", c.denied)
}
