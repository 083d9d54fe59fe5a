package cel

// Maps whose entries are looked up when they are asked for.

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/attache-mesh/attache/proxy/config"
)

// kind says what a map holds.
type kind uint8

const (
	ofRequest kind = iota
	ofRequestHeaders
	ofResponse
	ofResponseHeaders
	ofTrailers
	ofConnection
	ofUpstream
	ofSource
	ofDestination
	ofMetadata
	ofFilterMetadata
	ofState
	ofXDS
	ofValue // a value of metadata
)

// lazy is one of them: a part of a request, or a structure of metadata. Only the latter knows its size.
type lazy struct {
	of    *activation
	kind  kind
	value config.Value
}

var _ traits.Mapper = (*lazy)(nil)

// toCEL is a value of metadata.
func toCEL(v config.Value) ref.Val {
	switch v.Kind {
	case config.ValueText:
		return types.String(v.Text)
	case config.ValueNumber:
		return types.Double(v.Number)
	case config.ValueBool:
		return types.Bool(v.Bool)
	case config.ValueList:
		list := make([]ref.Val, len(v.List))
		for i := range v.List {
			list[i] = toCEL(v.List[i])
		}
		return types.NewRefValList(types.DefaultTypeAdapter, list)
	case config.ValueStruct:
		return &lazy{kind: ofValue, value: v}
	case config.ValueNull:
	}
	return types.NullValue
}

// Find looks an entry up.
func (l *lazy) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	if l.kind == ofValue {
		v, ok := l.value.Fields[string(name)]
		if !ok {
			return nil, false
		}
		return toCEL(v), true
	}
	v := l.of.find(l.kind, string(name))
	return v, v != nil
}

// Get is Find, and an error for what is not there.
func (l *lazy) Get(key ref.Val) ref.Val {
	if v, ok := l.Find(key); ok {
		return v
	}
	return types.NewErr("no such key: %v", key)
}

// Contains says whether there is an entry.
func (l *lazy) Contains(key ref.Val) ref.Val {
	_, ok := l.Find(key)
	return types.Bool(ok)
}

// Size is how many entries a structure of metadata has; else 0, as in Envoy.
func (l *lazy) Size() ref.Val { return types.Int(len(l.value.Fields)) }

// Iterator goes over the keys of a structure of metadata.
func (l *lazy) Iterator() traits.Iterator {
	keys := []ref.Val{}
	for _, key := range slices.Sorted(maps.Keys(l.value.Fields)) {
		keys = append(keys, types.String(key))
	}
	return types.NewRefValList(types.DefaultTypeAdapter, keys).Iterator()
}

// Equal compares structures of metadata; of a request's maps each equals itself alone.
func (l *lazy) Equal(other ref.Val) ref.Val {
	o, ok := other.(*lazy)
	if !ok {
		return types.False
	}
	if l.kind == ofValue && o.kind == ofValue {
		return types.Bool(l.value.Equal(o.value))
	}
	return types.Bool(l == o)
}

// ConvertToType knows the type itself.
func (l *lazy) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.MapType:
		return l
	case types.TypeType:
		return types.MapType
	}
	return types.NewErr("type conversion error from map to '%s'", t)
}

// ConvertToNative is not needed: nothing is made of it.
func (l *lazy) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("a map of attributes is no %s", t)
}

// Type is that of maps.
func (l *lazy) Type() ref.Type { return types.MapType }

// Value is the map itself.
func (l *lazy) Value() any { return l }
