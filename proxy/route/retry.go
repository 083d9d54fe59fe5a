package route

// Retry policies and internal redirects, compiled.

import (
	"slices"
	"strconv"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/match"
)

// Retry is a compiled config.Retry. Immutable; any goroutine.
type Retry struct {
	config.Retry
	headers []match.Header // of the answer
	request []match.Header
	status  bool // a condition looks at :status
}

// CompileRetry compiles a policy; nil gives nil.
func CompileRetry(in *config.Retry) *Retry {
	if in == nil {
		return nil
	}
	r := &Retry{Retry: *in}
	for i := range in.Headers {
		rule := match.NewHeader(&in.Headers[i])
		r.headers = append(r.headers, rule)
		r.status = r.status || in.Headers[i].Name == ":status"
	}
	for i := range in.RequestHeaders {
		r.request = append(r.request, match.NewHeader(&in.RequestHeaders[i]))
	}
	return r
}

// Allows reports whether the request may be retried at all: one of
// retriable_request_headers holds, or there are none.
func (r *Retry) Allows(req *Request) bool {
	for i := range r.request {
		if r.request[i].Match(req) {
			return true
		}
	}
	return len(r.request) == 0
}

// Answers reports whether one of retriable_headers holds for an answer.
func (r *Retry) Answers(status int, lines []Header) bool {
	if len(r.headers) == 0 {
		return false
	}
	if r.status {
		lines = append(slices.Clip(lines), http1.Header{Name: []byte(":status"), Value: strconv.AppendInt(nil, int64(status), 10)})
	}
	view := Request{Headers: lines}
	for i := range r.headers {
		if r.headers[i].Match(&view) {
			return true
		}
	}
	return false
}

// Redirects is a compiled config.InternalRedirect. Immutable; any goroutine.
type Redirects struct {
	config.InternalRedirect
}

func compileRedirects(in *config.InternalRedirect) *Redirects {
	if in == nil {
		return nil
	}
	return &Redirects{*in}
}

// Follows reports whether an answer of that status is followed.
func (r *Redirects) Follows(status int) bool { return slices.Contains(r.Codes, status) }

// Accepts reports whether the predicates that look at the route and the schemes
// accept the target; previous_routes is the caller's.
func (r *Redirects) Accepts(route string, secure, toSecure bool) bool {
	for _, allowed := range r.AllowedRoutes {
		if !slices.Contains(allowed, route) {
			return false
		}
	}
	return !r.SafeCrossScheme || secure || !toSecure
}

// compileAgain compiles what makes a request go out more than once.
func (c *compiler[C]) compileAgain(in *config.Route, a *config.Forward, r *Route[C]) {
	retry, hedge, body := a.Retry, a.Hedge, in.Body
	if retry == nil && c.host.Retry != nil {
		if c.common.retry == nil {
			c.common.retry = CompileRetry(c.host.Retry)
		}
		r.Retry = c.common.retry
	} else {
		r.Retry = CompileRetry(retry)
	}
	if hedge == nil {
		hedge = c.host.Hedge
	}
	if body == nil {
		body = c.host.Body
	}
	r.Hedge, r.Keep, r.Redirects = hedge, body, compileRedirects(a.Redirects)
	r.AttemptCount, r.AttemptCountInResponse = c.host.AttemptCount, c.host.AttemptCountInResponse
	r.TimeoutRetryHeader = c.host.TimeoutRetryHeader
}
