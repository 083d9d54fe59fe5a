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
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/match"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Filter is the filter of one chain.
type Filter struct {
	cfg     *config.ExtAuthz
	env     filter.Env
	method  callout.Method // of a gRPC service
	allowed names
	only    *match.Metadata // what is checked; nil: all
	limited bool            // only headers of allowed are sent
	hidden  names
	answer  answerNames // of an HTTP service
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
	if g := cfg.GRPC; g != nil {
		f.method = checkMethod(g)
		return f
	}
	// A service that speaks HTTP is always told these, and no others unless they
	// are asked for.
	f.limited, f.answer = true, compileAnswer(cfg.HTTP)
	for _, name := range []string{"authorization", ":method", ":path", ":authority"} {
		f.allowed = append(f.allowed, route.CompileText(&config.StringMatch{Value: name}))
	}
	return f
}

// checkMethod is how a service is asked.
func checkMethod(g *config.GRPCService) callout.Method {
	m := callout.Method{
		Authority: []byte(g.Authority), Path: []byte("/envoy.service.auth.v3.Authorization/Check"),
		Timeout: g.Timeout, MaxMessage: int(g.MaxMessage),
	}
	for _, x := range g.Metadata {
		m.Metadata = append(m.Metadata, callout.Field(x.Key, x.Value))
	}
	m.Ready()
	return m
}

// Own compiles what a route says of it.
func Own(cfg any) any {
	if r, ok := cfg.(*config.ExtAuthzRoute); ok {
		return r
	}
	return nil
}

// check is one request being checked. It may outlive the request: what it reads of
// that is copied before it waits.
type check struct {
	f       *Filter
	w       *loop.Worker
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
	own, _ := r.Own().(*config.ExtAuthzRoute)
	if own != nil && own.Disabled {
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
	x := &check{f: f, w: r.Worker}
	if !x.takeBody(r, own) {
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
func (x *check) takeBody(r *filter.Request, own *config.ExtAuthzRoute) bool {
	b := x.f.cfg.Body
	if own != nil {
		if own.NoBody {
			b = nil
		} else if own.Body != nil {
			b = own.Body
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
	for _, own := range r.Owns() {
		c, _ := own.(*config.ExtAuthzRoute)
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

// prepare writes the question; false if there is nobody to ask.
func (x *check) prepare(r *filter.Request) bool {
	f := x.f
	if f.cfg.GRPC != nil {
		x.msg = x.checkRequest(r)
		return f.env.Cluster(f.cfg.GRPC.Cluster) != nil
	}
	h := f.cfg.HTTP
	if x.body == nil {
		x.body = []byte{} // content-length: 0
	}
	x.req = callout.Request{
		Method: bytes.Clone(r.View.Method), Authority: bytes.Clone(r.View.Host),
		Path: append([]byte(h.PathPrefix), r.View.Path...), Headers: f.httpLines(r, x),
		Body: x.body, Timeout: h.Timeout, MaxBody: maxAnswer,
	}
	return f.env.Cluster(h.Cluster) != nil
}

// maxAnswer bounds the body of a refusal, in bytes.
const maxAnswer = 1 << 20

// run asks.
func (x *check) run() {
	if g := x.f.cfg.GRPC; g != nil {
		msg, s := x.call.Unary(x.w, x.f.env.Cluster(g.Cluster), &x.f.method, x.msg, nil)
		if s.OK() {
			if res, ok := parse(msg); ok {
				x.result = res
			}
		}
		return
	}
	h := x.f.cfg.HTTP
	a, o := x.call.Ask(x.w, x.f.env.Cluster(h.Cluster), &x.req)
	if o == outcome.OK {
		x.result = fromHTTP(&x.f.answer, a)
	}
}

// conclude does what the service said.
func (f *Filter) conclude(r *filter.Request, n *counters, x *result, took time.Duration) {
	if x.invalid && f.cfg.ValidateMutations || f.cfg.ValidateMutations && !x.wellFormed() {
		n.invalid++
		r.Reply(&filter.Reply{Status: 500, Empty: true, Details: "ext_authz_invalid"})
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
		n.ok++
		f.pass(r, x)
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
func (f *Filter) pass(r *filter.Request, x *result) {
	for _, c := range x.request {
		changeRequest(r, c)
	}
	for _, name := range x.remove {
		if name = strings.ToLower(name); !strings.HasPrefix(name, ":") && name != "host" && !protected(name) {
			r.Headers.Remove(name)
		}
	}
	if len(x.set)+len(x.unset) > 0 {
		r.Put(":path", changeQuery(r.View.Path, x.set, x.unset))
	}
	if f.cfg.ClearRoute && len(x.request)+len(x.remove)+len(x.set)+len(x.unset) > 0 {
		r.ClearRoute()
	}
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

func (f *Filter) refuse(r *filter.Request, a *filter.Reply) {
	r.Info.Flags |= streaminfo.UnauthorizedExternalService
	r.Reply(a)
}

func changeRequest(r *filter.Request, c change) {
	switch {
	case !usable(c) || protected(c.name):
	case c.name[0] != ':' && c.name != "host":
		changeFields(r.Headers, c)
	case c.how == changeSet && (c.name != ":path" || strings.HasPrefix(c.value, "/")) && c.value != "":
		r.Put(c.name, []byte(c.value))
	}
}

func changeFields(f filter.Fields, c change) {
	old, there := f.Get(c.name)
	switch c.how {
	case changeAdd:
		f.Add(c.name, c.value)
	case changeIfAbsent:
		if !there {
			f.Add(c.name, c.value)
		}
	case changeSet:
		f.Set(c.name, c.value)
	case changeIfPresent:
		if there {
			f.Set(c.name, c.value)
		}
	case changeAppend:
		if there {
			f.Set(c.name, string(old)+","+c.value)
		}
	}
}

// protected are the headers that frame a message or are for one connection.
func protected(name string) bool {
	id := http1.LookupField([]byte(name))
	return id.FramesMessage() || id == http1.FieldTE || id == http1.FieldKeepAlive || id == http1.FieldUpgrade || id == http1.FieldConnection
}

// usable says whether a header can be written.
func usable(c change) bool {
	name := strings.TrimPrefix(c.name, ":")
	return http1.ValidName(name) && http1.ValidValue(c.value)
}

// wellFormed says whether all headers can be written.
func (x *result) wellFormed() bool {
	for _, list := range [][]change{x.request, x.response} {
		for _, c := range list {
			if !usable(c) {
				return false
			}
		}
	}
	return true
}

// changeQuery sets and removes query parameters of a path; the others stay as they
// are.
func changeQuery(path []byte, set [][2]string, unset []string) []byte {
	target, query, _ := strings.Cut(string(path), "?")
	gone := map[string]bool{}
	for _, name := range unset {
		gone[name] = true
	}
	var parts []string
	done := map[string]bool{}
	for part := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(part, "=")
		value, replaced := "", false
		for _, kv := range set {
			if kv[0] == key {
				value, replaced = kv[1], true
			}
		}
		switch {
		case part == "" || gone[key] || replaced && done[key]:
		case replaced:
			done[key] = true
			parts = append(parts, key+"="+value)
		default:
			parts = append(parts, part)
		}
	}
	for _, kv := range set {
		if !done[kv[0]] && !gone[kv[0]] && !strings.ContainsAny(kv[0]+kv[1], " \r\n\x00&#") {
			done[kv[0]] = true
			parts = append(parts, kv[0]+"="+kv[1])
		}
	}
	if len(parts) > 0 {
		target += "?" + strings.Join(parts, "&")
	}
	return []byte(target)
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
