package config

import "testing"

// TestValues finds, compares and prints.
func TestValues(t *testing.T) {
	text := func(s string) Value { return Value{Kind: ValueText, Text: s} }
	inner := Value{Kind: ValueStruct, Fields: map[string]Value{
		"b": {Kind: ValueList, List: []Value{{Kind: ValueNumber, Number: 1.5}, {Kind: ValueBool, Bool: true}, {}}},
		"a": text("say \"a\""),
	}}
	m := FilterMetadata{"envoy.lb": {"stage": text("prod"), "deep": inner}}
	if v, ok := m.At("envoy.lb", "deep", "a"); !ok || v.String() != `say "a"` {
		t.Errorf("deep.a: %v %v", v, ok)
	}
	for _, path := range [][]string{{"none"}, {"stage", "none"}, {"deep", "b", "0"}} {
		if v, ok := m.At("envoy.lb", path...); ok {
			t.Errorf("%v: %v", path, v)
		}
	}
	if _, ok := m.At("none"); ok {
		t.Error("a namespace that is not there was found")
	}
	if v, ok := m.At("envoy.lb"); !ok || len(v.Fields) != 2 {
		t.Errorf("the namespace: %v %v", v, ok)
	}
	if got, want := inner.String(), `{"a":"say \"a\"","b":[1.5,true,null]}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if !inner.Equal(m["envoy.lb"]["deep"]) || inner.Equal(text("x")) || text("x").Equal(text("y")) {
		t.Error("equal")
	}
}
