package streaminfo

import (
	"maps"
	"slices"

	"github.com/attache-mesh/attache/proxy/config"
)

// Metadata is what filters have noted of a request (dynamic metadata), by
// namespace and key. The zero value is empty and costs nothing. Worker only.
type Metadata struct {
	by    config.FilterMetadata
	typed config.TypedMetadata
}

// Set adds fields to a namespace: a key that is there already is replaced, a
// structure that is there already is joined with the new one
// (StreamInfoImpl::setDynamicMetadata, a protobuf merge).
func (m *Metadata) Set(namespace string, fields map[string]config.Value) {
	if m.by == nil {
		m.by = config.FilterMetadata{}
	}
	m.by[namespace] = merge(m.by[namespace], fields)
}

// SetValue is Set of one key.
func (m *Metadata) SetValue(namespace, key string, v config.Value) {
	m.Set(namespace, map[string]config.Value{key: v})
}

// Update is Set, but adds to a list that is there already (StructUtil::update).
func (m *Metadata) Update(namespace string, fields map[string]config.Value) {
	if m.by == nil {
		m.by = config.FilterMetadata{}
	}
	m.by[namespace] = update(m.by[namespace], fields)
}

// update leaves both as they are.
func update(old, added map[string]config.Value) map[string]config.Value {
	all := make(map[string]config.Value, len(old)+len(added))
	maps.Copy(all, old)
	for key, v := range added {
		switch was := all[key]; {
		case was.Kind != v.Kind:
		case v.Kind == config.ValueStruct:
			v.Fields = update(was.Fields, v.Fields)
		case v.Kind == config.ValueList:
			v.List = slices.Concat(was.List, v.List)
		}
		all[key] = v
	}
	return all
}

// Has says whether there is a namespace.
func (m *Metadata) Has(namespace string) bool {
	_, ok := m.by[namespace]
	return ok
}

// HasTyped says whether a namespace has a message.
func (m *Metadata) HasTyped(namespace string) bool {
	_, ok := m.typed[namespace]
	return ok
}

// SetTyped gives a namespace a message, in place of the one that it may have.
func (m *Metadata) SetTyped(namespace string, msg config.Message) {
	if m.typed == nil {
		m.typed = config.TypedMetadata{}
	}
	m.typed[namespace] = msg
}

// Typed are all messages, nil if there are none. It is only to be read, and not kept
// beyond the request.
func (m *Metadata) Typed() config.TypedMetadata { return m.typed }

// merge leaves both as they are: values are immutable.
func merge(old, added map[string]config.Value) map[string]config.Value {
	all := make(map[string]config.Value, len(old)+len(added))
	maps.Copy(all, old)
	for key, v := range added {
		if was := all[key]; was.Kind == config.ValueStruct && v.Kind == config.ValueStruct {
			v.Fields = merge(was.Fields, v.Fields)
		}
		all[key] = v
	}
	return all
}

// At finds the value that a path of keys leads to in a namespace.
func (m *Metadata) At(namespace string, path ...string) (config.Value, bool) {
	return m.by.At(namespace, path...)
}

// All is everything, nil if there is nothing. It is only to be read, and not kept
// beyond the request.
func (m *Metadata) All() config.FilterMetadata { return m.by }

func (m *Metadata) reset() {
	clear(m.by)
	clear(m.typed)
}
