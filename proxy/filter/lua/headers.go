package lua

// Header lines, as scripts read and change them.

import (
	"bytes"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/filter"
)

// lines are the header or the trailers of the run's message.
type lines struct {
	*run
	tail  bool
	walks bool // they are being iterated over
}

func headerMethods() methods {
	return methods{
		"add": method(headerAdd), "get": method(headerGet), "getAtIndex": method(headerAtIndex), "getNumValues": method(headerCount),
		"remove": method(headerRemove), "replace": method(headerReplace), "setHttp1ReasonPhrase": method(headerReason), "__pairs": method(headerPairs),
	}
}

// luaHeaders is handle:headers().
func luaHeaders(l *glua.LState, s *run) int {
	if s.lines == nil {
		s.lines = &lines{run: s}
	}
	return push(l, s, kindHeaders, s.lines)
}

func (h *lines) fields() filter.Fields {
	switch {
	case h.tail:
		return h.trailers()
	case h.request:
		return h.r.Headers
	}
	return h.r.AnswerHeaders
}

// pseudo gives a value that is not among the lines; known says that the name is one of those.
func (h *lines) pseudo(name string) (value []byte, there, known bool) {
	switch {
	case h.tail || name == "" || name[0] != ':' && name != "host":
		return nil, false, false
	case h.request:
		value, there = h.r.Get(name)
		return value, there, true
	case name == ":status":
		return strconv.AppendInt(nil, int64(h.r.Status), 10), true, true
	}
	return nil, false, name[0] == ':'
}

// modifiable raises an error if the lines are not to be changed now.
func (h *lines) modifiable(l *glua.LState) {
	if h.walks {
		l.RaiseError("header map cannot be modified while iterating")
	}
	if h.sent && !h.tail {
		l.RaiseError("header map can no longer be modified")
	}
	if h.request && !h.tail && !h.f.cfg.KeepRoute {
		h.changed = true
	}
}

func headerGet(l *glua.LState, h *lines) int {
	name := strings.ToLower(l.CheckString(2))
	v, there, known := h.pseudo(name)
	if !known {
		v, there = h.fields().Joined(name)
	}
	return orNil(l, h.run, v, there)
}

// orNil gives the script a value, or nil.
func orNil(l *glua.LState, s *run, v []byte, there bool) int {
	if !there {
		return none(l)
	}
	return text(l, s, string(v))
}

// none gives the script nil, where Envoy gives it nothing: that is nil wherever it matters.
func none(l *glua.LState) int {
	l.Push(glua.LNil)
	return 1
}

// each calls yield with the values of a name.
func (h *lines) each(name string, yield func(i int, value []byte)) {
	if v, there, known := h.pseudo(name); known {
		if there {
			yield(0, v)
		}
		return
	}
	i := 0
	h.fields().Each(func(n, v []byte) bool {
		if filter.EqualFold(n, name) {
			yield(i, v)
			i++
		}
		return true
	})
}

func headerAtIndex(l *glua.LState, h *lines) int {
	at, found := l.CheckInt(3), false
	var value []byte
	h.each(strings.ToLower(l.CheckString(2)), func(i int, v []byte) {
		if i == at {
			value, found = v, true
		}
	})
	return orNil(l, h.run, value, found)
}

func headerCount(l *glua.LState, h *lines) int {
	n := 0
	h.each(strings.ToLower(l.CheckString(2)), func(int, []byte) { n++ })
	l.Push(glua.LNumber(n))
	return 1
}

func headerAdd(l *glua.LState, h *lines) int     { return h.put(l, true) }
func headerReplace(l *glua.LState, h *lines) int { return h.put(l, false) }

// put sets a header. What frames a message or is for one connection is the proxy's own.
func (h *lines) put(l *glua.LState, add bool) int {
	h.modifiable(l)
	name, value := strings.ToLower(l.CheckString(2)), l.CheckString(3)
	if !usable(name, value) {
		l.RaiseError("header %q cannot have this value", name)
	}
	switch _, _, known := h.pseudo(name); {
	case known:
		h.putPseudo(l, name, value)
	case reserved(name):
	case add:
		if h.fields().Len() < h.r.MaxHeaders() {
			h.fields().Add(name, value)
		}
	default:
		h.fields().Set(name, value)
	}
	return 0
}

func (h *lines) putPseudo(l *glua.LState, name, value string) {
	good := value != "" && !strings.ContainsAny(value, " \t")
	status, err := strconv.Atoi(value)
	switch {
	case !h.request:
		good = name == ":status" && err == nil && status >= 200 && status <= 599
	case name == ":path":
		good = good && (value[0] == '/' || value == "*")
	case name == ":method":
		good = http1.ValidName(value)
	case name == ":scheme":
		good = value == "http" || value == "https"
	}
	if !good {
		l.RaiseError("header %q cannot have this value", name)
	}
	if h.request {
		h.r.Put(name, []byte(value))
	} else {
		h.r.Status = status
	}
}

func headerRemove(l *glua.LState, h *lines) int {
	h.modifiable(l)
	name := strings.ToLower(l.CheckString(2))
	_, _, known := h.pseudo(name)
	switch b := h.run.body(); {
	case known:
	case name == "content-length" && !h.tail:
		if b != nil && !h.r.Local {
			h.setBody(b, filter.Unknown)
		}
	case !reserved(name):
		h.fields().Remove(name)
	}
	return 0
}

// headerReason is headers:setHttp1ReasonPhrase().
func headerReason(l *glua.LState, h *lines) int {
	h.modifiable(l)
	phrase := l.CheckString(2)
	if !http1.ValidValue(phrase) {
		l.RaiseError("a reason phrase cannot be this")
	}
	if !h.request && !h.tail {
		h.r.SetReason(phrase)
	}
	return 0
}

// headerPairs is pairs(headers): of the lines as they are now.
func headerPairs(l *glua.LState, h *lines) int {
	if h.walks {
		l.RaiseError("cannot create a second iterator before completing the first")
	}
	h.walks = true
	var all [][2][]byte
	names := []string{":status"}
	if h.request {
		names = []string{":authority", ":path", ":method", ":scheme"}
	}
	for _, name := range names {
		if v, there, _ := h.pseudo(name); there {
			all = append(all, [2][]byte{[]byte(name), v})
		}
	}
	h.fields().Each(func(name, value []byte) bool {
		all = append(all, [2][]byte{bytes.ToLower(name), value})
		return true
	})
	l.Push(l.NewFunction(func(l *glua.LState) int {
		h.check(l)
		if len(all) == 0 {
			h.walks = false
			return 0
		}
		one := all[0]
		all = all[1:]
		return text(l, h.run, string(one[0])) + text(l, h.run, string(one[1]))
	}))
	return 1
}

// reserved are the headers that frame a message or are for one connection.
func reserved(name string) bool {
	id := http1.LookupField([]byte(name))
	return id.FramesMessage() || id == http1.FieldTE || id == http1.FieldKeepAlive || id == http1.FieldUpgrade || id == http1.FieldConnection
}

// usable says whether a header can be written.
func usable(name, value string) bool {
	return http1.ValidName(strings.TrimPrefix(name, ":")) && name != "" && http1.ValidValue(value)
}
