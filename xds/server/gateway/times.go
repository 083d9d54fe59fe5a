package gateway

// Timeouts and retries.

import (
	"regexp"
	"time"
)

// durations are the Gateway API's (GEP-2257).
const durations = `^([0-9]{1,5}(h|m|s|ms)){1,4}$`

func (r *reader) duration(text, path string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil || !regexp.MustCompile(durations).MatchString(text) {
		r.refuse(path, "%.100q: want a time such as 10s or 1m500ms", text)
	}
	return d
}

func (r *reader) timeouts(t *timeouts, path string, into *Rule) {
	if t == nil {
		return
	}
	if t.Request != "" {
		d := r.duration(t.Request, dot(path, "request"))
		into.Timeout = &d
	}
	if t.BackendRequest != "" {
		d := r.duration(t.BackendRequest, dot(path, "backendRequest"))
		into.TryTimeout = &d
	}
	if into.Timeout != nil && into.TryTimeout != nil && *into.Timeout != 0 && *into.TryTimeout > *into.Timeout {
		r.refuse(dot(path, "backendRequest"), "longer than request")
	}
}

func (r *reader) retry(t *retry, path string, into *Rule) {
	if t == nil {
		return
	}
	made := &Retry{Attempts: 1}
	for i, code := range t.Codes {
		if code < 400 || code > 599 {
			r.refuse(at(dot(path, "codes"), i), "%d: want 400 to 599", code)
			continue
		}
		made.Codes = append(made.Codes, uint32(code))
	}
	if t.Attempts != nil {
		if *t.Attempts < 1 || *t.Attempts > 20 {
			r.refuse(dot(path, "attempts"), "%d: want 1 to 20", *t.Attempts)
		}
		made.Attempts = uint32(*t.Attempts)
	}
	if t.Backoff != "" {
		if made.Backoff = r.duration(t.Backoff, dot(path, "backoff")); made.Backoff < time.Millisecond {
			r.refuse(dot(path, "backoff"), "want at least 1ms")
		}
	}
	into.Retry = made
}
