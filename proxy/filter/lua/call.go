package lua

// Requests that scripts make, and answers.

import (
	"strconv"
	"strings"
	"time"

	glua "github.com/yuin/gopher-lua"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// call is one httpCall, in a coroutine of its own: it may outlive the request.
type call struct {
	w       *loop.Worker
	cluster *upstream.Cluster
	req     callout.Request
	own     callout.Call
	answer  *callout.Answer // nil: there is none
}

func (c *call) run() {
	if a, o := c.own.Ask(c.w, c.cluster, &c.req); o == outcome.OK {
		c.answer = a
	}
}

func (c *call) cancel() { c.own.Cancel() }

// options are what a script says of a call.
type options struct{ aside, duplicates bool }

// luaHTTPCall is handle:httpCall().
func luaHTTPCall(l *glua.LState, s *run) int {
	c := &call{w: s.r.Worker}
	o := callOptions(l, c)
	if c.cluster = s.f.env.Cluster(l.CheckString(2)); c.cluster == nil {
		l.RaiseError("http call cluster invalid. Must be configured")
	}
	c.fill(l)
	if o.aside {
		c.req.Discard = true
		s.r.Worker.Go(c.run)
		return 0
	}
	c.req.MaxBody = s.r.BufferLimit()
	s.to = c
	s.wait(l, wantsCall)
	s.to = nil
	return c.result(l, s, o.duplicates)
}

// callOptions reads what comes after the body: a table, or the timeout and whether it is asynchronous.
func callOptions(l *glua.LState, c *call) (o options) {
	table, ok := l.Get(5).(*glua.LTable)
	if !ok {
		if l.GetTop() >= 6 && l.Get(6).Type() != glua.LTBool {
			l.RaiseError("http call asynchronous flag must be 'true', 'false', or empty")
		}
		c.setTimeout(l, l.CheckInt(5))
		o.aside = l.GetTop() >= 6 && l.ToBool(6)
		return o
	}
	table.ForEach(func(key, v glua.LValue) {
		switch key.String() {
		case "asynchronous":
			o.aside = glua.LVAsBool(v)
		case "timeout_ms":
			n, ok := v.(glua.LNumber)
			if !ok {
				l.RaiseError("http call timeout must be a number")
			}
			c.setTimeout(l, int(n))
		case "return_duplicate_headers":
			o.duplicates = glua.LVAsBool(v)
		case "trace_sampled", "send_xff": // neither is sent
		default:
			l.RaiseError("%q is not valid key for httpCall() options", key.String())
		}
	})
	return o
}

func (c *call) setTimeout(l *glua.LState, ms int) {
	if ms < 0 {
		l.RaiseError("http call timeout must be >= 0")
	}
	c.req.Timeout = time.Duration(min(ms, 1<<31)) * time.Millisecond
}

// fill makes the request.
func (c *call) fill(l *glua.LState) {
	q := &c.req
	eachHeader(l, l.CheckTable(3), func(name, value string) {
		switch name {
		case ":method":
			q.Method = []byte(value)
		case ":path":
			q.Path = []byte(value)
		case ":authority", "host":
			q.Authority = []byte(value)
		case ":scheme":
			q.Scheme = []byte(value)
		default:
			if name[0] != ':' && !reserved(name) {
				q.Headers = append(q.Headers, callout.Field(name, value))
			}
		}
	})
	if len(q.Method) == 0 || len(q.Path) == 0 || len(q.Authority) == 0 {
		l.RaiseError("http call headers must include ':path', ':method', and ':authority'")
	}
	if !http1.ValidName(string(q.Method)) || strings.ContainsAny(string(q.Path)+string(q.Authority)+string(q.Scheme), " \t") {
		l.RaiseError("http call headers are not valid")
	}
	q.Headers = append(q.Headers, callout.Field("x-envoy-internal", "true"))
	if v := l.Get(4); v != glua.LNil {
		q.Body = []byte(l.CheckString(4))
	}
}

// eachHeader calls yield with the headers of a table: values are texts or tables of texts.
func eachHeader(l *glua.LState, table *glua.LTable, yield func(name, value string)) {
	table.ForEach(func(k, v glua.LValue) {
		if !glua.LVCanConvToString(k) {
			l.RaiseError("a header's name must be a string")
		}
		name := strings.ToLower(glua.LVAsString(k))
		one := func(v glua.LValue) {
			value := glua.LVAsString(v)
			if !glua.LVCanConvToString(v) || !usable(name, value) {
				l.RaiseError("header %q cannot have this value", name)
			}
			yield(name, value)
		}
		if list, ok := v.(*glua.LTable); ok {
			list.ForEach(func(_, v glua.LValue) { one(v) })
			return
		}
		one(v)
	})
}

// result gives the script headers and body; of a failure Envoy makes an answer.
func (c *call) result(l *glua.LState, s *run, duplicates bool) int {
	headers := l.NewTable()
	if c.answer == nil {
		headers.RawSetString(":status", glua.LString("503"))
		l.Push(headers)
		l.Push(glua.LString("upstream failure"))
		return 2
	}
	headers.RawSetString(":status", glua.LString(strconv.Itoa(c.answer.Status)))
	for i := range c.answer.Headers {
		h := &c.answer.Headers[i]
		if h.Hop {
			continue
		}
		name := strings.ToLower(string(h.Name))
		v := glua.LValue(glua.LString(h.Value))
		if old := headers.RawGetString(name); duplicates && old != glua.LNil {
			list, ok := old.(*glua.LTable)
			if !ok {
				list = l.NewTable()
				list.Append(old)
			}
			list.Append(v)
			v = list
		}
		headers.RawSetString(name, v)
	}
	l.Push(headers)
	if len(c.answer.Body) == 0 {
		l.Push(glua.LNil)
		return 2
	}
	return 1 + text(l, s, string(c.answer.Body))
}

// luaRespond is handle:respond(): the script ends with it.
func luaRespond(l *glua.LState, s *run) int {
	if s.sent || s.flows {
		l.RaiseError("respond() cannot be called if headers have been continued")
	}
	if !s.request {
		l.RaiseError("respond not currently supported in the response path")
	}
	a := &filter.Reply{Details: "lua_response", Empty: true}
	status := ""
	eachHeader(l, l.CheckTable(2), func(name, value string) {
		switch {
		case name == ":status":
			status = value
		case name == "content-type":
			a.ContentType = value
		case name[0] != ':' && !reserved(name) && len(a.Headers) < s.r.MaxHeaders():
			a.Headers = append(a.Headers, callout.Field(name, value))
		}
	})
	var err error
	if a.Status, err = strconv.Atoi(status); err != nil || a.Status < 200 || a.Status > 599 {
		l.RaiseError(":status must be between 200-599")
	}
	if l.GetTop() >= 3 && l.Get(3) != glua.LNil {
		a.Body = l.CheckString(3)
		a.Empty = a.Body == ""
	}
	s.reply = a
	s.thread.End(errResponded)
	l.RaiseError("%s", errResponded.Error())
	return 0
}
