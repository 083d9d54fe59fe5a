package luascript

// Texts: what makes them is counted before it does.

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// concat is the operator "..", of a chain of operands.
func concat(l *lua.LState) int {
	n, size, plain := l.GetTop(), 0, true
	for i := 1; i <= n; i++ {
		v := l.Get(i)
		if !lua.LVCanConvToString(v) {
			plain = false
			break
		}
		if s, ok := v.(lua.LString); ok {
			size += len(s)
		} else {
			size += 24
		}
	}
	if !plain {
		return concatPairs(l)
	}
	take(l, size)
	var b strings.Builder
	b.Grow(size)
	for i := 1; i <= n; i++ {
		b.WriteString(lua.LVAsString(l.Get(i)))
	}
	l.Push(lua.LString(b.String()))
	return 1
}

// concatPairs works from the right, and asks __concat where an operand is no text.
func concatPairs(l *lua.LState) int {
	n := l.GetTop()
	right := l.Get(n)
	for i := n - 1; i >= 1; i-- {
		left := l.Get(i)
		if lua.LVCanConvToString(left) && lua.LVCanConvToString(right) {
			a, b := lua.LVAsString(left), lua.LVAsString(right)
			take(l, len(a)+len(b))
			right = lua.LString(a + b)
			continue
		}
		f := l.GetMetaField(left, "__concat")
		if f == lua.LNil {
			f = l.GetMetaField(right, "__concat")
		}
		if f == lua.LNil {
			bad := left
			if lua.LVCanConvToString(left) {
				bad = right
			}
			l.RaiseError("attempt to concatenate a %s value", bad.Type().String())
		}
		l.Push(f)
		l.Push(left)
		l.Push(right)
		l.Call(2, 1)
		right = l.Get(-1)
		l.Pop(1)
	}
	l.Push(right)
	return 1
}

// boundTexts puts bounds around the string and table libraries.
func boundTexts(l *lua.LState) {
	lib, _ := l.GetGlobal(lua.StringLibName).(*lua.LTable)
	lib.RawSetString("dump", lua.LNil)
	boundPatterns(l, lib)
	for _, name := range []string{"char", "lower", "upper", "reverse"} {
		around(l, lib, name, func(l *lua.LState) { take(l, len(l.OptString(1, ""))) })
	}
	around(l, lib, "rep", func(l *lua.LState) {
		s, n := l.CheckString(1), l.CheckInt(2)
		if n > 0 && len(s) > MaxString/n {
			n = MaxString/max(len(s), 1) + 1
		}
		take(l, max(n, 0)*len(s))
	})
	around(l, lib, "format", func(l *lua.LState) {
		if tooWide(l.CheckString(1)) {
			l.RaiseError("invalid format (width or precision too long)")
		}
		size := len(l.CheckString(1)) * 100
		for i := 2; i <= l.GetTop(); i++ {
			if s, ok := l.Get(i).(lua.LString); ok {
				size += 4 * len(s)
			}
		}
		take(l, size)
	})
	tables, _ := l.GetGlobal(lua.TabLibName).(*lua.LTable)
	around(l, tables, "concat", func(l *lua.LState) {
		t, sep := l.CheckTable(1), len(l.OptString(2, ""))
		from, to := l.OptInt(3, 1), l.OptInt(4, t.Len())
		use(l, max(to-from, 0))
		size := 0
		for i := from; i <= to && size <= MaxString; i++ {
			size += sep + len(lua.LVAsString(t.RawGetInt(i)))
		}
		take(l, size)
	})
	around(l, tables, "sort", func(l *lua.LState) { n := l.CheckTable(1).Len(); use(l, n*8) })
	for _, name := range []string{"insert", "remove"} {
		around(l, tables, name, func(l *lua.LState) {
			if t := l.CheckTable(1); l.GetTop() == 3 || name == "remove" && l.GetTop() == 2 {
				use(l, t.Len()/64)
			}
		})
	}
}

// tooWide says whether a format has a number of more than two digits.
func tooWide(format string) bool {
	for {
		_, rest, found := strings.Cut(format, "%")
		if !found {
			return false
		}
		digits := 0
		for len(rest) > 0 && strings.IndexByte("-+ #.0123456789", rest[0]) >= 0 {
			if digits++; rest[0] < '0' || rest[0] > '9' {
				digits = 0
			}
			if digits > 2 {
				return true
			}
			rest = rest[1:]
		}
		if rest != "" { // the verb, which may be another %
			rest = rest[1:]
		}
		format = rest
	}
}

// around has before run first.
func around(l *lua.LState, lib *lua.LTable, name string, before func(*lua.LState)) {
	f, _ := lib.RawGetString(name).(*lua.LFunction)
	lib.RawSetString(name, l.NewFunction(func(l *lua.LState) int {
		before(l)
		return f.GFunction(l)
	}))
}
