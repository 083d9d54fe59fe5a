package luascript

// The libraries: Lua's own, but for what reaches out of the script, with bounds on what makes texts.

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// openLibraries gives a state its globals.
func openLibraries(l *lua.LState, env *Env) {
	for _, lib := range []struct {
		name string
		open lua.LGFunction
	}{
		{"", lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
		{lua.StringLibName, lua.OpenString},
		{lua.MathLibName, lua.OpenMath},
		{lua.CoroutineLibName, lua.OpenCoroutine},
		{lua.OsLibName, lua.OpenOs},
	} {
		l.Push(l.NewFunction(lib.open))
		l.Push(lua.LString(lib.name))
		l.Call(1, 0)
	}
	boundBase(l, env)
	boundTexts(l)
	boundOS(l, env)
	boundThreads(l)
	openBit(l)
}

// boundBase replaces what reads files, collects garbage, or loads text.
func boundBase(l *lua.LState, env *Env) {
	for _, name := range []string{"dofile", "loadfile", "module", "_printregs", "newproxy"} {
		l.SetGlobal(name, lua.LNil)
	}
	pairs := l.GetGlobal("pairs")
	for name, f := range map[string]lua.LGFunction{
		concatName:       concat,
		"collectgarbage": func(l *lua.LState) int { l.Push(lua.LNumber(0)); return 1 },
		"load":           loadPieces,
		"loadstring":     loadText,
		"print":          printer(env),
		"require": func(l *lua.LState) int {
			l.RaiseError("require: modules are not loaded from disk")
			return 0
		},
		"pairs": func(l *lua.LState) int { return pairsOf(l, pairs) },
	} {
		l.SetGlobal(name, l.NewFunction(f))
	}
}

// pairsOf asks __pairs first, as LuaJIT does.
func pairsOf(l *lua.LState, plain lua.LValue) int {
	f := l.GetMetaField(l.CheckAny(1), "__pairs")
	if f == lua.LNil {
		f = plain
	}
	v := l.Get(1)
	l.Push(f)
	l.Push(v)
	l.Call(1, 3)
	return 3
}

func printer(env *Env) lua.LGFunction {
	say := env.Print
	return func(l *lua.LState) int {
		var line strings.Builder
		for i := 1; i <= l.GetTop(); i++ {
			if i > 1 {
				line.WriteByte('\t')
			}
			text := l.ToStringMeta(l.Get(i)).String()
			take(l, line.Len()+len(text))
			line.WriteString(text)
		}
		if say != nil {
			say(line.String())
		}
		return 0
	}
}

// loadText compiles a text as scripts are.
func loadText(l *lua.LState) int {
	return loaded(l, l.CheckString(1), l.OptString(2, "=(load)"))
}

// loadPieces is loadText of what a function gives, piece by piece.
func loadPieces(l *lua.LState) int {
	if text, ok := l.Get(1).(lua.LString); ok {
		return loaded(l, string(text), l.OptString(2, "=(load)"))
	}
	f := l.CheckFunction(1)
	name := l.OptString(2, "=(load)")
	var text strings.Builder
	for {
		l.Push(f)
		l.Call(0, 1)
		piece, ok := l.Get(-1).(lua.LString)
		l.Pop(1)
		if !ok || piece == "" {
			return loaded(l, text.String(), name)
		}
		take(l, text.Len()+len(piece))
		text.WriteString(string(piece))
	}
}

func loaded(l *lua.LState, text, name string) int {
	use(l, len(text))
	proto, err := compile(strings.TrimLeft(name, "=@"), text)
	if err != nil {
		l.Push(lua.LNil)
		l.Push(lua.LString(err.Error()))
		return 2
	}
	l.Push(l.NewFunctionFromProto(proto))
	return 1
}

// boundOS leaves what asks and changes nothing, by the clock that the process has.
func boundOS(l *lua.LState, env *Env) {
	os, _ := l.GetGlobal(lua.OsLibName).(*lua.LTable)
	for _, name := range []string{"execute", "exit", "remove", "rename", "setenv", "setlocale", "tmpname"} {
		os.RawSetString(name, lua.LNil)
	}
	at, date := os.RawGetString("time"), os.RawGetString("date")
	wall := env.Wall
	os.RawSetString("time", l.NewFunction(func(l *lua.LState) int {
		if l.GetTop() == 0 || l.Get(1) == lua.LNil {
			l.Push(lua.LNumber(wall().Unix()))
			return 1
		}
		return call(l, at)
	}))
	os.RawSetString("date", l.NewFunction(func(l *lua.LState) int {
		if l.GetTop() == 0 {
			l.Push(lua.LString("%c"))
		}
		if l.GetTop() == 1 {
			l.Push(lua.LNumber(wall().Unix()))
		}
		return call(l, date)
	}))
}

// boundThreads has the coroutines that a script makes counted with it.
func boundThreads(l *lua.LState) {
	lib, _ := l.GetGlobal(lua.CoroutineLibName).(*lua.LTable)
	for _, name := range []string{"create", "wrap"} {
		f := lib.RawGetString(name)
		lib.RawSetString(name, l.NewFunction(func(l *lua.LState) int {
			take(l, firstValues*16)
			n := call(l, f)
			switch made := l.Get(-1).(type) {
			case *lua.LState:
				made.SetContext(l.Context())
			case *lua.LFunction:
				if th, ok := made.Upvalues[0].Value().(*lua.LState); ok {
					th.SetContext(l.Context())
				}
			}
			return n
		}))
	}
}

// call passes a function's own arguments on.
func call(l *lua.LState, f lua.LValue) int {
	n := l.GetTop()
	l.Insert(f, 1)
	l.Call(n, lua.MultRet)
	return l.GetTop()
}
