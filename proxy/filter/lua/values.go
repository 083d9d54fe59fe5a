package lua

// Metadata: values of configuration and of filters, as Lua's, and back.

import (
	"maps"
	"slices"

	glua "github.com/yuin/gopher-lua"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// values are a structure that scripts read.
type values map[string]config.Value

// fields are values as a script has them.
type fields struct {
	*run
	values
}

func valuesMethods() methods {
	return methods{
		"get":     method(func(l *glua.LState, f *fields) int { return f.get(l, l.CheckString(2)) }),
		"__index": method(func(l *glua.LState, f *fields) int { return f.get(l, l.ToString(2)) }),
		"__pairs": method(func(l *glua.LState, f *fields) int {
			return walk(l, f.run, slices.Sorted(maps.Keys(f.values)), func(key string) glua.LValue { return toLua(l, f.values[key]) })
		}),
	}
}

func (f *fields) get(l *glua.LState, key string) int {
	v, ok := f.values[key]
	if !ok {
		return none(l)
	}
	l.Push(toLua(l, v))
	return 1
}

// walk gives an iterator over keys.
func walk(l *glua.LState, s *run, keys []string, value func(key string) glua.LValue) int {
	l.Push(l.NewFunction(func(l *glua.LState) int {
		s.check(l)
		if len(keys) == 0 {
			return 0
		}
		key := keys[0]
		keys = keys[1:]
		l.Push(glua.LString(key))
		l.Push(value(key))
		return 2
	}))
	return 1
}

// toLua makes a Lua value (MetadataMapHelper::setValue).
func toLua(l *glua.LState, v config.Value) glua.LValue {
	switch v.Kind {
	case config.ValueText:
		return glua.LString(v.Text)
	case config.ValueNumber:
		return glua.LNumber(v.Number)
	case config.ValueBool:
		return glua.LBool(v.Bool)
	case config.ValueList:
		t := l.CreateTable(len(v.List), 0)
		for i, e := range v.List {
			t.RawSetInt(i+1, toLua(l, e))
		}
		return t
	case config.ValueStruct:
		return structure(l, v.Fields)
	case config.ValueNull:
	}
	return glua.LNil
}

func structure(l *glua.LState, of map[string]config.Value) glua.LValue {
	t := l.CreateTable(0, len(of))
	for key, v := range of {
		t.RawSetString(key, toLua(l, v))
	}
	return t
}

// maxDepth bounds how deep tables are nested that are made values of.
const maxDepth = 32

// fromLua makes a value (MetadataMapHelper::loadValue): a table whose keys are 1, 2, 3, … is a list.
func fromLua(l *glua.LState, v glua.LValue, depth int) config.Value {
	switch v := v.(type) {
	case *glua.LNilType:
		return config.Value{}
	case glua.LNumber:
		return config.Value{Kind: config.ValueNumber, Number: float64(v)}
	case glua.LBool:
		return config.Value{Kind: config.ValueBool, Bool: bool(v)}
	case glua.LString:
		return config.Value{Kind: config.ValueText, Text: string(v)}
	case *glua.LTable:
		if depth >= maxDepth {
			l.RaiseError("tables in dynamicMetadata are nested deeper than %d", maxDepth)
		}
		return fromTable(l, v, depth+1)
	}
	l.RaiseError("unexpected type '%s' in dynamicMetadata", v.Type().String())
	return config.Value{}
}

func fromTable(l *glua.LState, t *glua.LTable, depth int) config.Value {
	if n := t.Len(); n > 0 && n == count(t) {
		list := config.Value{Kind: config.ValueList}
		for i := 1; i <= n; i++ {
			list.List = append(list.List, fromLua(l, t.RawGetInt(i), depth))
		}
		return list
	}
	s := config.Value{Kind: config.ValueStruct, Fields: map[string]config.Value{}}
	t.ForEach(func(key, v glua.LValue) {
		name, ok := key.(glua.LString)
		if !ok {
			l.RaiseError("unexpected type %s in table key (only string keys are supported)", key.Type().String())
		}
		s.Fields[string(name)] = fromLua(l, v, depth)
	})
	return s
}

func count(t *glua.LTable) (n int) {
	t.ForEach(func(_, _ glua.LValue) { n++ })
	return n
}

// luaMetadata is handle:metadata(): the route's, of the filter's name or else of its canonical one.
func luaMetadata(l *glua.LState, s *run) int {
	s.settle()
	all := s.r.Info.RouteMetadata()
	v, ok := all[s.f.name]
	if !ok {
		v = all["envoy.filters.http.lua"]
	}
	return push(l, s, kindValues, &fields{s, v})
}

func luaContext(l *glua.LState, s *run) int {
	return push(l, s, kindValues, &fields{s, s.context})
}

// place is a virtual host or a route.
type place struct {
	*run
	metadata config.FilterMetadata
}

func placeMethods() methods {
	return methods{"metadata": method(func(l *glua.LState, p *place) int {
		return push(l, p.run, kindValues, &fields{p.run, p.metadata[p.f.name]})
	})}
}

func luaVirtualHost(l *glua.LState, s *run) int {
	s.settle()
	p := &place{run: s}
	if h := s.r.Info.VirtualHost; h != nil {
		p.metadata = h.Metadata
	}
	return push(l, s, kindPlace, p)
}

func luaRoute(l *glua.LState, s *run) int {
	s.settle()
	return push(l, s, kindPlace, &place{s, s.r.Info.RouteMetadata()})
}

// notes are the dynamic metadata of a request or of its connection.
type notes struct {
	*run
	of       *streaminfo.Metadata
	readOnly bool
}

func noteMethods() methods {
	return methods{
		"get": method(func(l *glua.LState, n *notes) int {
			v, ok := n.of.All()[l.CheckString(2)]
			if !ok {
				return none(l)
			}
			l.Push(structure(l, v))
			return 1
		}),
		"set": method(func(l *glua.LState, n *notes) int {
			if n.readOnly {
				l.RaiseError("the connection's metadata cannot be set")
			}
			n.of.SetValue(l.CheckString(2), l.CheckString(3), fromLua(l, l.Get(4), 0))
			return 0
		}),
		"__pairs": method(func(l *glua.LState, n *notes) int {
			all := n.of.All()
			return walk(l, n.run, slices.Sorted(maps.Keys(all)), func(key string) glua.LValue { return structure(l, all[key]) })
		}),
	}
}
