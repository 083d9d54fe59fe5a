package lua

// The kinds of object that scripts are given, and their methods.

import (
	glua "github.com/yuin/gopher-lua"
)

// kind is one of them.
type kind uint8

const (
	kindHandle kind = iota
	kindHeaders
	kindBuffer
	kindValues
	kindInfo
	kindConnInfo
	kindNotes
	kindState
	kindConnection
	kindTLS
	kindName
	kindKey
	kindPlace
	kindCount
)

// kinds are the metatables of a state.
type kinds [kindCount]*glua.LTable

// object is what a script holds: it is good while its run is what runs.
type object interface{ check(l *glua.LState) }

// check raises an error if the script is not the one that was given the object.
func (s *run) check(l *glua.LState) {
	if !s.running {
		l.RaiseError("object used outside of proper scope")
	}
}

// push gives the script an object.
func push(l *glua.LState, s *run, k kind, o object) int {
	l.Push(s.wrap(k, o))
	return 1
}

func (s *run) wrap(k kind, o object) *glua.LUserData {
	return &glua.LUserData{Value: o, Env: s.on.state.L.Env, Metatable: s.on.kinds[k]}
}

// handle is what the script's function is called with.
func (s *run) handle() glua.LValue { return s.wrap(kindHandle, s) }

// method makes a method of f.
func method[T object](f func(*glua.LState, T) int) glua.LGFunction {
	return func(l *glua.LState) int {
		o, ok := l.CheckUserData(1).Value.(T)
		if !ok {
			l.ArgError(1, "another kind of object expected")
		}
		o.check(l)
		return f(l, o)
	}
}

// methods are those of one kind.
type methods map[string]glua.LGFunction

// open makes the metatables of a state, and the global names.
func (k *kinds) open(l *glua.LState) {
	for i, all := range [kindCount]methods{
		kindHandle: handleMethods(), kindHeaders: headerMethods(), kindBuffer: bufferMethods(), kindValues: valuesMethods(),
		kindInfo: infoMethods(), kindConnInfo: connInfoMethods(), kindNotes: noteMethods(), kindState: stateMethods(),
		kindConnection: connectionMethods(), kindTLS: tlsMethods(), kindName: nameMethods(), kindKey: keyMethods(), kindPlace: placeMethods(),
	} {
		t, index := l.NewTable(), l.NewTable()
		for name, f := range all {
			if len(name) > 2 && name[:2] == "__" {
				t.RawSetString(name, l.NewFunction(f))
			} else {
				index.RawSetString(name, l.NewFunction(f))
			}
		}
		if byKey := t.RawGetString("__index"); byKey == glua.LNil {
			t.RawSetString("__index", index)
		} else {
			t.RawSetString("__index", l.NewFunction(eitherOf(index, byKey)))
		}
		t.RawSetString("__metatable", glua.LFalse)
		k[i] = t
	}
	resolution := l.NewTable()
	resolution.RawSetString("MILLISECOND", glua.LNumber(resolutionMilli))
	resolution.RawSetString("MICROSECOND", glua.LNumber(resolutionMicro))
	l.SetGlobal("EnvoyTimestampResolution", resolution)
}

// eitherOf looks for a method, and else asks f.
func eitherOf(index *glua.LTable, f glua.LValue) glua.LGFunction {
	return func(l *glua.LState) int {
		if m := index.RawGet(l.Get(2)); m != glua.LNil {
			l.Push(m)
			return 1
		}
		l.Insert(f, 1)
		l.Call(2, 1)
		return 1
	}
}

func handleMethods() methods {
	all := methods{
		"headers": method(luaHeaders), "body": method(luaBody), "bodyChunks": method(luaBodyChunks), "trailers": method(luaTrailers),
		"metadata": method(luaMetadata), "httpCall": method(luaHTTPCall), "respond": method(luaRespond), "streamInfo": method(luaStreamInfo),
		"connection": method(luaConnection), "importPublicKey": method(luaImportKey), "verifySignature": method(luaVerify),
		"base64Escape": method(luaBase64), "timestamp": method(luaTimestamp), "timestampString": method(luaTimestampString),
		"connectionStreamInfo": method(luaConnInfo), "setUpstreamOverrideHost": method(luaOverride),
		"clearRouteCache": method(luaClearRoute), "filterContext": method(luaContext), "virtualHost": method(luaVirtualHost), "route": method(luaRoute),
	}
	for name, level := range logLevels() {
		all[name] = method(func(l *glua.LState, s *run) int { return luaLog(l, s, level) })
	}
	return all
}

func bufferMethods() methods {
	return methods{"length": method(bufferLength), "getBytes": method(bufferGetBytes), "setBytes": method(bufferSetBytes)}
}
