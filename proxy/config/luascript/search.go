package luascript

// The functions that take patterns.

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// boundPatterns replaces them.
func boundPatterns(l *lua.LState, lib *lua.LTable) {
	for name, f := range map[string]lua.LGFunction{
		"find": func(l *lua.LState) int { return search(l, true) }, "match": func(l *lua.LState) int { return search(l, false) },
		"gmatch": gmatch, "gfind": gmatch, "gsub": gsub,
	} {
		lib.RawSetString(name, l.NewFunction(f))
	}
}

// newMatcher makes a matcher whose errors are the script's; anchored says that the pattern begins with ^.
func newMatcher(l *lua.LState, src, pat string) (m *matcher, anchored bool) {
	meter := meterOf(l)
	pat, anchored = strings.CutPrefix(pat, "^")
	return &matcher{src: src, pat: pat, count: func(n int) {
		if err := meter.Use(n); err != nil {
			panic(errPattern{err})
		}
	}}, anchored
}

// try matches at s; an error of the pattern is the script's.
func (m *matcher) try(l *lua.LState, s int) (end int) {
	defer func() {
		if p := recover(); p != nil {
			e, ok := p.(errPattern)
			if !ok {
				panic(p)
			}
			l.RaiseError("%s", e.Error())
		}
	}()
	m.captures, m.depth = m.captures[:0], 0
	return m.match(s, 0)
}

// start is the optional argument that says where to begin, as an index.
func start(l *lua.LState, i, length int) int {
	at := l.OptInt(i, 1)
	if at < 0 {
		at = max(length+at+1, 1)
	}
	return max(at, 1) - 1
}

func search(l *lua.LState, find bool) int {
	src, pat := l.CheckString(1), l.CheckString(2)
	from := start(l, 3, len(src))
	if from > len(src) {
		l.Push(lua.LNil)
		return 1
	}
	if find && (l.ToBool(4) || !strings.ContainsAny(pat, "^$*+?.([%-")) {
		use(l, (len(src)-from)/16)
		at := strings.Index(src[from:], pat)
		if at < 0 {
			l.Push(lua.LNil)
			return 1
		}
		l.Push(lua.LNumber(from + at + 1))
		l.Push(lua.LNumber(from + at + len(pat)))
		return 2
	}
	m, anchored := newMatcher(l, src, pat)
	for s := from; s <= len(src); s++ {
		if end := m.try(l, s); end >= 0 {
			if !find {
				return m.push(l, s, end, true)
			}
			l.Push(lua.LNumber(s + 1))
			l.Push(lua.LNumber(end))
			return 2 + m.push(l, s, end, false)
		}
		if anchored {
			break
		}
	}
	l.Push(lua.LNil)
	return 1
}

// push gives the script the captures, or the whole match if there are none and whole is.
func (m *matcher) push(l *lua.LState, s, end int, whole bool) int {
	if len(m.captures) == 0 && whole {
		l.Push(lua.LString(m.src[s:end]))
		return 1
	}
	for i := range m.captures {
		l.Push(m.value(l, i, s, end))
	}
	return len(m.captures)
}

// value is one capture.
func (m *matcher) value(l *lua.LState, i, s, end int) lua.LValue {
	if i == 0 && len(m.captures) == 0 {
		return lua.LString(m.src[s:end])
	}
	if i >= len(m.captures) {
		l.RaiseError("invalid capture index")
	}
	switch c := m.captures[i]; c.n {
	case position:
		return lua.LNumber(c.from + 1)
	case open:
		l.RaiseError("unfinished capture")
		return lua.LNil
	default:
		return lua.LString(m.src[c.from : c.from+c.n])
	}
}

func gmatch(l *lua.LState) int {
	src, pat := l.CheckString(1), l.CheckString(2)
	s := 0
	l.Push(l.NewFunction(func(l *lua.LState) int {
		m, _ := newMatcher(l, src, "^"+pat) // here ^ is a character like others
		for ; s <= len(src); s++ {
			if end := m.try(l, s); end >= 0 {
				from := s
				if s = end; end == from {
					s++
				}
				return m.push(l, from, end, true)
			}
		}
		return 0
	}))
	return 1
}

func gsub(l *lua.LState) int {
	src, pat := l.CheckString(1), l.CheckString(2)
	limit := l.OptInt(4, len(src)+1)
	m, anchored := newMatcher(l, src, pat)
	var out strings.Builder
	n, s := 0, 0
	for n < limit {
		end := m.try(l, s)
		if end >= 0 {
			n++
			m.replace(l, &out, s, end)
		}
		switch {
		case end > s:
			s = end
		case s < len(src):
			out.WriteByte(src[s])
			s++
		default:
			s++
		}
		if s > len(src) || anchored {
			break
		}
		if out.Len() > MaxString {
			take(l, out.Len())
		}
	}
	if s < len(src) {
		out.WriteString(src[s:])
	}
	take(l, out.Len())
	l.Push(lua.LString(out.String()))
	l.Push(lua.LNumber(n))
	return 2
}

// replace writes what stands in place of a match.
func (m *matcher) replace(l *lua.LState, out *strings.Builder, s, end int) {
	var v lua.LValue
	switch r := l.Get(3).(type) {
	case lua.LString, lua.LNumber:
		m.template(l, out, lua.LVAsString(r), s, end)
		return
	case *lua.LTable:
		v = l.GetTable(r, m.value(l, 0, s, end))
	case *lua.LFunction:
		own := append([]capture(nil), m.captures...)
		l.Push(r)
		l.Call(m.push(l, s, end, true), 1)
		v = l.Get(-1)
		l.Pop(1)
		m.captures = own
	default:
		l.ArgError(3, "string/function/table expected")
	}
	switch {
	case lua.LVIsFalse(v):
		out.WriteString(m.src[s:end])
	case lua.LVCanConvToString(v):
		out.WriteString(lua.LVAsString(v))
	default:
		l.RaiseError("invalid replacement value (a %s)", v.Type().String())
	}
}

// template is a replacement in which %1 stands for a capture.
func (m *matcher) template(l *lua.LState, out *strings.Builder, text string, s, end int) {
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		switch i++; {
		case text[i] == '0':
			out.WriteString(m.src[s:end])
		case isDigit(text[i]):
			out.WriteString(lua.LVAsString(m.value(l, int(text[i]-'1'), s, end)))
		default:
			out.WriteByte(text[i])
		}
		if out.Len() > MaxString {
			take(l, out.Len())
		}
	}
}
