// Package extauthz is the filter that asks a service whether a request may pass,
// by gRPC or by HTTP (Envoy source/extensions/filters/http/ext_authz).
//
//	request ─▶ CheckRequest ─▶ service ─▶ allowed: headers, query, metadata are changed ─▶ on
//	                             │      └▶ denied: its status, headers and body
//	                             └ no answer: status_on_error, or on (failure_mode_allow)
//
// The request's coroutine waits, its worker does not.
package extauthz

import (
	"strconv"
	"time"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/match"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg     *config.ExtAuthz
	env     filter.Env
	service *service
	allowed names
	only    *match.Metadata // what is checked; nil: all
	limited bool            // only headers of allowed are sent
	hidden  names
	local   filter.PerWorker[counters]
}

// counters are those of one worker.
type counters struct {
	ok, denied, failed, disabled, failureAllowed, invalid, ignoredMetadata uint64
}

// New compiles it.
func New(cfg *config.ExtAuthz, env filter.Env) *Filter {
	f := &Filter{cfg: cfg, env: env, allowed: compileNames(cfg.Allowed), hidden: compileNames(cfg.Disallowed), limited: cfg.HasAllowed, local: filter.NewPerWorker[counters](env.Workers)}
	if cfg.EnabledIf != nil {
		f.only = match.NewMetadata(cfg.EnabledIf)
	}
	f.service = newService(cfg.GRPC, cfg.HTTP)
	if cfg.GRPC != nil {
		return f
	}
	// A service that speaks HTTP is always told these, and no others unless they
	// are asked for.
	f.limited = true
	for _, name := range []string{"authorization", ":method", ":path", ":authority"} {
		f.allowed = append(f.allowed, route.CompileText(&config.StringMatch{Value: name}))
	}
	return f
}

// own is what a route says.
type own struct {
	*config.ExtAuthzRoute
	service *service // nil: the filter's
}

// Own compiles what a route says of it.
func Own(cfg any) any {
	if r, ok := cfg.(*config.ExtAuthzRoute); ok {
		return &own{r, newService(r.GRPC, r.HTTP)}
	}
	return nil
}

// check is one request being checked. It may outlive the request: what it reads of
// that is copied before it waits.
type check struct {
	f       *Filter
	w       *loop.Worker
	service *service
	call    callout.Call
	msg     []byte
	req     callout.Request
	context map[string]string
	body    []byte
	hasBody bool // is to be sent, be it empty
	partial bool
	pack    bool
	result  result
}

// enabled says whether a request is checked (FilterConfig::filterEnabled).
func (f *Filter) enabled(r *filter.Request) bool {
	if e := f.cfg.Enabled; e != nil && r.Worker.Rand().Uint64N(uint64(e.Den)) >= uint64(e.Num) {
		return false
	}
	return f.only == nil || f.only.Match(r.Info.Metadata.All())
}

// Serve checks a request.
func (f *Filter) Serve(r *filter.Request) {
	n := f.local.On(r.Worker)
	said, _ := r.Own().(*own)
	if said != nil && said.Disabled {
		r.Next()
		return
	}
	if !f.enabled(r) {
		n.disabled++
		if f.cfg.DenyAtDisable {
			f.refuse(r, &filter.Reply{Status: f.cfg.StatusOnError, Empty: true, Details: "ext_authz_error"})
			return
		}
		r.Next()
		return
	}
	x := &check{f: f, w: r.Worker, service: f.service}
	if said != nil && said.service != nil {
		x.service = said.service
	}
	if !x.takeBody(r, said) {
		return
	}
	x.takeContext(r)
	began := r.Worker.Now()
	if !x.prepare(r) || !r.Await(x.run, x.call.Cancel) {
		if r.Over() {
			return
		}
	}
	f.conclude(r, n, &x.result, time.Duration(r.Worker.Now()-began))
}

// takeBody reads as much of the body as the service is to see; false if the
// request was answered, or is over.
func (x *check) takeBody(r *filter.Request, said *own) bool {
	b := x.f.cfg.Body
	if said != nil {
		if said.NoBody {
			b = nil
		} else if said.Body != nil {
			b = said.Body
		}
	}
	if b == nil || r.Upgrade {
		return true
	}
	body := r.Body()
	if body == nil {
		return true
	}
	x.hasBody, x.pack = true, b.Bytes
	if !b.Partial {
		var ok bool
		x.body, ok = r.Buffer(int(b.Max))
		return ok
	}
	p := &resumed{rest: body}
	for len(p.head) <= int(b.Max) && !p.last {
		piece, last, err := body.Next()
		if err != nil {
			p.err = err
			break
		}
		p.head, p.last = append(p.head, piece...), last
	}
	x.body = p.head[:min(len(p.head), int(b.Max))]
	x.partial = len(x.body) < len(p.head) || !p.last
	length := filter.Unknown
	if v, ok := r.Headers.Get("content-length"); ok {
		if k, err := strconv.Atoi(string(v)); err == nil {
			length = k
		}
	}
	r.SetBody(p, length)
	return true
}

// resumed is a body of which the head was read already.
type resumed struct {
	head []byte
	rest filter.Body
	last bool
	err  error
}

// Next gives the head, and then what follows.
func (p *resumed) Next() (piece []byte, last bool, err error) {
	if head := p.head; len(head) > 0 || p.last {
		p.head = nil
		return head, p.last, nil
	}
	if p.err != nil {
		return nil, false, p.err
	}
	return p.rest.Next()
}

// takeContext joins what the levels of the route want the service to know; the more
// specific wins.
func (x *check) takeContext(r *filter.Request) {
	for _, level := range r.Owns() {
		c, _ := level.(*own)
		if c == nil {
			continue
		}
		for key, value := range c.Context {
			if x.context == nil {
				x.context = map[string]string{}
			}
			if _, said := x.context[key]; !said {
				x.context[key] = value
			}
		}
	}
}

// conclude does what the service said.
func (f *Filter) conclude(r *filter.Request, n *counters, x *result, took time.Duration) {
	if x.invalid && f.cfg.ValidateMutations || f.cfg.ValidateMutations && !x.wellFormed() {
		f.invalidate(r, n)
		return
	}
	if len(x.metadata) > 0 {
		if f.cfg.IgnoreMetadata {
			n.ignoredMetadata++
		} else {
			if x.verdict == allowed {
				x.metadata["ext_authz_duration"] = config.Value{Kind: config.ValueNumber, Number: float64(took.Milliseconds())}
			}
			r.Info.Metadata.Set("envoy.filters.http.ext_authz", x.metadata)
		}
	}
	switch x.verdict {
	case allowed:
		f.pass(r, n, x)
	case denied:
		n.denied++
		f.deny(r, x)
	case failed:
		n.failed++
		if !f.cfg.FailureAllow {
			f.refuse(r, &filter.Reply{Status: f.cfg.StatusOnError, Empty: true, Details: "ext_authz_error"})
			return
		}
		n.failureAllowed++
		if f.cfg.FailureHeader {
			r.Headers.Add("x-envoy-auth-failure-mode-allowed", "true")
		}
		r.Next()
	}
}

// pass changes the request, lets it go on, and changes the answer.
func (f *Filter) pass(r *filter.Request, n *counters, x *result) {
	if !f.changeRequest(r, x) {
		f.invalidate(r, n)
		return
	}
	n.ok++
	if !r.Next() {
		return
	}
	for _, c := range x.response {
		if usable(c) && !protected(c.name) {
			changeFields(r.AnswerHeaders, c)
		}
	}
}

// deny answers as the service says.
func (f *Filter) deny(r *filter.Request, x *result) {
	a := &filter.Reply{Status: x.status, Body: x.body, Empty: x.body == "", Details: "ext_authz_denied"}
	if m := int(f.cfg.MaxDeniedBody); m > 0 && len(a.Body) > m {
		a.Body = a.Body[:m]
	}
	for _, c := range x.request {
		switch {
		case !usable(c) || protected(c.name) || c.how == changeAppend:
		case c.name == "content-type":
			a.ContentType = c.value
		default:
			a.Headers = append(a.Headers, callout.Field(c.name, c.value))
		}
	}
	f.refuse(r, a)
}

// invalidate refuses because of what the service asks for.
func (f *Filter) invalidate(r *filter.Request, n *counters) {
	n.invalid++
	f.refuse(r, &filter.Reply{Status: 500, Empty: true, Details: "ext_authz_invalid"})
}

func (f *Filter) refuse(r *filter.Request, a *filter.Reply) {
	r.Info.Flags |= streaminfo.UnauthorizedExternalService
	r.Reply(a)
}

// Stats yields what worker w has counted.
func (f *Filter) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	n, p := f.local.On(w), f.env.Prefix+"ext_authz."
	if f.cfg.StatPrefix != "" {
		p += f.cfg.StatPrefix + "."
	}
	yield(p+"ok", n.ok)
	yield(p+"denied", n.denied)
	yield(p+"error", n.failed)
	yield(p+"disabled", n.disabled)
	yield(p+"failure_mode_allowed", n.failureAllowed)
	yield(p+"invalid", n.invalid)
	yield(p+"ignored_dynamic_metadata", n.ignoredMetadata)
}
