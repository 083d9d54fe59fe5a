package health

// HTTP checks (Envoy health_checkers/http/health_checker_impl.cc).

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
)

const cancel = http2.Cancel

// userAgent is Envoy's: servers know health checks by it.
const userAgent = "Envoy/HC"

// headers are the lines that go with a check, Host not among them.
func headers(own []http1.Header, add []config.HeaderValue, remove []string) []http1.Header {
	all := own
	for _, h := range add {
		if h.Value == "" && !h.KeepEmpty {
			continue
		}
		i := slices.IndexFunc(all, func(o http1.Header) bool { return string(o.Name) == h.Name })
		switch h.Append {
		case config.AddIfAbsent:
			if i >= 0 {
				continue
			}
		case config.OverwriteOrAdd, config.OverwriteIfExists:
			if i < 0 && h.Append == config.OverwriteIfExists {
				continue
			}
			all = slices.DeleteFunc(all, func(o http1.Header) bool { return string(o.Name) == h.Name })
		case config.AppendOrAdd:
		}
		all = append(all, field(h.Name, h.Value))
	}
	return slices.DeleteFunc(all, func(o http1.Header) bool { return slices.Contains(remove, string(o.Name)) })
}

func field(name, value string) http1.Header {
	return http1.Header{Name: []byte(name), Value: []byte(value), ID: http1.LookupField([]byte(name))}
}

// authority is whom the question is for.
func (k *Check) authority(asked string) string {
	return cmp.Or(k.host.Hostname, asked, k.host.Cluster)
}

// lines are those of an HTTP check.
func (k *Check) lines() []http1.Header {
	h := &k.asked.HTTP
	all := headers([]http1.Header{field("user-agent", userAgent)}, h.Headers, h.Remove)
	if len(h.Body) > 0 {
		all = append(all, field("content-length", strconv.Itoa(len(h.Body))))
	}
	return all
}

// text is the request as HTTP/1.1 has it; made once.
func (k *Check) text() []byte {
	if k.request != nil {
		return k.request
	}
	h := &k.asked.HTTP
	out := http1.AppendRequestLine(nil, []byte(h.Method), []byte(h.Path))
	out = http1.AppendHeader(out, "host", k.authority(h.Host))
	for _, l := range k.lines() {
		out = http1.AppendHeader(out, l.Name, l.Value)
	}
	if m := h.Method; len(h.Body) == 0 && (m == "POST" || m == "PUT") {
		out = http1.AppendContentLength(out, 0)
	}
	k.request = append(http1.AppendHeadEnd(out), h.Body...)
	return k.request
}

func (q *question) http1() Result {
	c, err := q.connect()
	if err != nil {
		return q.lost(err)
	}
	text := q.k.text()
	c.Commit(append(c.Begin(len(text)), text...))
	for {
		n, err := q.resp.Parse(c.Buffered(), http1.LookupMethod([]byte(q.k.asked.HTTP.Method)), &q.k.limits)
		switch {
		case err != nil || n > 0 && q.resp.Status == 101:
			return Broken
		case n > 0 && q.resp.Status < 200:
			c.Discard(n)
			continue
		case n > 0:
			head := q.judge() // before what it borrows is gone
			c.Discard(n)
			if r := q.readBody(); r.Bad() {
				return r
			}
			q.keep = q.resp.KeepAlive && q.resp.Body != http1.BodyUntilClose
			return q.verdict(head)
		}
		if err := q.more(c); err != nil {
			return q.lost(err)
		}
	}
}

// readBody reads the body to its end and keeps what Receive is looked for in.
func (q *question) readBody() Result {
	c, left, chunks := q.lease.Conn, q.resp.ContentLength, http1.Chunked{}
	chunks.Reset()
	for {
		data, n, done := c.Buffered(), c.Pending(), false
		switch q.resp.Body {
		case http1.BodyNone:
			return Passed
		case http1.BodyLength:
			n = int(min(left, int64(n)))
			data = data[:n]
			left -= int64(n)
			done = left == 0
		case http1.BodyChunked:
			var err error
			if data, n, done, err = chunks.Next(data, &q.k.limits); err != nil {
				return Broken
			}
		case http1.BodyUntilClose:
		}
		q.take(data)
		c.Discard(n)
		if done {
			return Passed
		}
		if n > 0 && c.Pending() > 0 {
			continue
		}
		if err := q.more(c); err != nil {
			if q.resp.Body == http1.BodyUntilClose && c.Ended() {
				return Passed
			}
			return q.lost(err)
		}
	}
}

func (q *question) take(data []byte) {
	h := &q.k.asked.HTTP
	if len(h.Receive) == 0 {
		return
	}
	most := maxBody
	if h.MaxBody > 0 {
		most = int(min(h.MaxBody, maxBody))
	}
	q.body = append(q.body, data[:min(len(data), max(most-len(q.body), 0))]...)
}

func (q *question) http2() Result {
	if err := q.open(); err != nil {
		return q.lost(err)
	}
	s, h := q.stream, &q.k.asked.HTTP
	if !s.Head() {
		return Broken
	}
	s.Request([]byte(h.Method), q.scheme(), []byte(q.k.authority(h.Host)), []byte(h.Path), nil)
	for _, l := range q.k.lines() {
		s.Field(l.Name, l.Value, l.ID)
	}
	s.SendHead(len(h.Body) == 0)
	if len(h.Body) > 0 {
		s.Send(h.Body, true)
	}
	if r := q.readHead(h.Method); r.Bad() {
		return r
	}
	head := q.judge()
	for {
		if n := s.Pending(); n > 0 {
			q.take(s.Buffered())
			s.Discard(n)
		}
		if s.Last() {
			break
		}
		if err := s.Wait(q.left()); err != nil {
			return q.lost(err)
		}
	}
	q.keep = true
	return q.verdict(head)
}

func (q *question) scheme() []byte {
	if p := q.k.host.Target.Path; p != nil && p.Secured() {
		return []byte("https")
	}
	return []byte("http")
}

// readHead waits for the head of a stream's answer.
func (q *question) readHead(method string) Result {
	for !q.stream.Answered() {
		if err := q.stream.Wait(q.left()); err != nil {
			return q.lost(err)
		}
	}
	q.resp.Headers = make([]http1.Header, 0, 16)
	s := q.stream
	if err := http2.ReadResponse(&q.resp, &s.Fields, http1.LookupMethod([]byte(method)), s.Last() && s.Pending() == 0); err != nil {
		return Broken
	}
	return Passed
}

// judge says what the head says (HttpActiveHealthCheckSession::
// healthCheckResult).
func (q *question) judge() Result {
	h, status := &q.k.asked.HTTP, q.resp.Status
	in := func(all []config.StatusRange) bool {
		return slices.ContainsFunc(all, func(r config.StatusRange) bool { return r.Has(status) })
	}
	if !in(h.Expected) {
		_, q.exclude = q.value("x-envoy-immediate-health-check-fail")
		if in(h.Retriable) {
			return Retriable
		}
		return Refused
	}
	if h.Service != nil {
		q.k.count.VerifyCluster.Add(1)
		name, _ := q.value("x-envoy-upstream-healthchecked-cluster")
		if !matches(h.Service, name) {
			return Refused
		}
	}
	if _, degraded := q.value("x-envoy-degraded"); degraded {
		return Degraded
	}
	return Passed
}

// verdict is the head's, unless the body is not as it must be.
func (q *question) verdict(head Result) Result {
	if !found(q.k.asked.HTTP.Receive, q.body) {
		return Refused
	}
	return head
}

func (q *question) value(name string) (string, bool) {
	for i := range q.resp.Headers {
		if h := &q.resp.Headers[i]; strings.EqualFold(string(h.Name), name) {
			return string(h.Value), true
		}
	}
	return "", false
}

// matches applies a StringMatcher; rarely enough that it is not compiled.
func matches(m *config.StringMatch, s string) bool {
	want := m.Value
	if m.IgnoreCase {
		s, want = strings.ToLower(s), strings.ToLower(want)
	}
	switch m.Kind {
	case config.StringPrefix:
		return strings.HasPrefix(s, want)
	case config.StringSuffix:
		return strings.HasSuffix(s, want)
	case config.StringContains:
		return strings.Contains(s, want)
	case config.StringRegex:
		return m.Regex.MatchString(s)
	case config.StringExact:
	}
	return s == want
}
