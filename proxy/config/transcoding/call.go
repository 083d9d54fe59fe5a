package transcoding

// A request that is a call, and the values that its path and query give.

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/attache-mesh/attache/proxy/config"
)

// Call is one call of a method. It belongs to one request.
type Call struct {
	t        *Table
	m        *method
	bindings []binding
	unknown  []parameter // to be passed on
}

type parameter struct{ name, value string }

// binding is a field's value that the path or the query gives.
type binding struct {
	at    []protoreflect.FieldDescriptor
	value string
}

// Path is how the service knows the method: /package.Service/Method.
func (c *Call) Path() string { return c.m.path }

// ClientStreams and ServerStreams say how many messages there are.
func (c *Call) ClientStreams() bool { return c.m.desc.IsStreamingClient() }

// ServerStreams says that the answer may be several messages.
func (c *Call) ServerStreams() bool { return c.m.desc.IsStreamingServer() }

// RawRequest says that the request's body is no JSON but goes into a google.api.HttpBody,
// RawAnswer that the answer's comes out of one.
func (c *Call) RawRequest() bool { return c.m.inIs }

// RawAnswer is RawRequest of the answer.
func (c *Call) RawAnswer() bool { return c.m.outIs }

// Find finds the method of a request: verb is its HTTP method, path has the query.
func (t *Table) Find(verb, path string) (*Call, *Failure) {
	path, query, _ := strings.Cut(path, "?")
	segments, custom := t.split(path)
	var e *end
	if len(segments) <= maxSegments {
		e = t.root.find(verb+":"+custom, segments, false)
	}
	if e == nil {
		return nil, &Failure{NotFound, "Could not resolve " + path + " to a method."}
	}
	c := &Call{t: t, m: e.method}
	for i := range e.variables {
		v := &e.variables[i]
		if fail := c.bind(v.field, v.value(segments, t.cfg.Unescape)); fail != nil {
			return nil, fail
		}
	}
	for part := range strings.SplitSeq(query, "&") {
		name, value, found := strings.Cut(part, "=")
		if !found || name == "" || t.ignores(name) {
			continue
		}
		if t.cfg.UnescapePlus {
			value = strings.ReplaceAll(value, "+", " ")
		}
		if fail := c.bind(strings.Split(name, "."), unescape(value, config.UnescapeAll)); fail != nil {
			return nil, fail
		}
	}
	return c, nil
}

func (t *Table) ignores(name string) bool {
	for _, s := range t.cfg.Ignored {
		if s == name {
			return true
		}
	}
	return false
}

// bind takes a value for a field.
func (c *Call) bind(field []string, value string) *Failure {
	at, fail := fieldPath(c.m.desc.Input(), field)
	if fail != nil {
		switch {
		case c.t.cfg.CaptureUnknown:
			c.unknown = append(c.unknown, parameter{strings.Join(field, "."), value})
		case c.t.cfg.IgnoreUnknown:
		default:
			return fail
		}
		return nil
	}
	if !c.m.inIs || !begins(at, c.m.in) { // what is in an HttpBody goes on as it is
		c.bindings = append(c.bindings, binding{at, value})
	}
	return nil
}

func begins(at, with []protoreflect.FieldDescriptor) bool {
	if len(at) < len(with) {
		return false
	}
	for i := range with {
		if at[i] != with[i] {
			return false
		}
	}
	return true
}
