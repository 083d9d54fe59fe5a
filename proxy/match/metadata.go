package match

// Conditions on values and on metadata (source/common/common/matchers.cc).

import "github.com/attache-mesh/attache/proxy/config"

// Value is a compiled config.ValueMatch. Immutable; any goroutine.
type Value struct {
	m    config.ValueMatch
	text String
	all  []Value
}

// NewValue compiles a condition.
func NewValue(m *config.ValueMatch) Value {
	v := Value{m: *m, text: NewString(&m.String)}
	for i := range m.All {
		v.all = append(v.all, NewValue(&m.All[i]))
	}
	return v
}

// Match decides on a value; null stands for one that is not there.
func (v *Value) Match(x config.Value) bool {
	switch v.m.Kind {
	case config.MatchNull:
		return x.Kind == config.ValueNull
	case config.MatchNumber:
		if x.Kind != config.ValueNumber {
			return false
		}
		if v.m.IsRange {
			return v.m.From <= x.Number && x.Number < v.m.To
		}
		return x.Number == v.m.Number
	case config.MatchString:
		return x.Kind == config.ValueText && v.text.Match([]byte(x.Text))
	case config.MatchBool:
		return x.Kind == config.ValueBool && x.Bool == v.m.Bool
	case config.MatchPresent:
		return v.m.Bool == (x.Kind != config.ValueNull)
	case config.MatchList:
		if x.Kind != config.ValueList || len(v.all) == 0 {
			return false
		}
		for i := range x.List {
			if v.all[0].Match(x.List[i]) {
				return true
			}
		}
		return false
	case config.MatchOr:
		for i := range v.all {
			if v.all[i].Match(x) {
				return true
			}
		}
	}
	return false
}

// Metadata is a compiled config.MetadataMatch. Immutable; any goroutine.
type Metadata struct {
	namespace string
	path      []string
	value     Value
	invert    bool
}

// NewMetadata compiles a condition.
func NewMetadata(m *config.MetadataMatch) *Metadata {
	return &Metadata{namespace: m.Namespace, path: m.Path, value: NewValue(&m.Value), invert: m.Invert}
}

// Match decides on metadata (MetadataMatcher::match).
func (m *Metadata) Match(all config.FilterMetadata) bool {
	v, _ := m.Find(all)
	return m.value.Match(v) != m.invert
}

// Find gives the value that the condition is about; a null that stands there is one.
func (m *Metadata) Find(all config.FilterMetadata) (config.Value, bool) {
	return all.At(m.namespace, m.path...)
}

// Holds decides on a value that Find gave, whatever invert says.
func (m *Metadata) Holds(v config.Value) bool { return m.value.Match(v) }
