package streaminfo

import (
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// Every flag that an outcome has is one of the set.
func TestOutcomesHaveTheirFlags(t *testing.T) {
	for o := range outcome.All {
		if f := FlagFor(o); f.String() != o.Flag() {
			t.Errorf("%v: %q, want %q", o, f, o.Flag())
		}
	}
	if got := string((NoHealthyUpstream | UnconditionalDropOverload).Append(nil, true)); got != "NoHealthyUpstream,UnconditionalDropOverload" {
		t.Errorf("long names: %s", got)
	}
}

func text(s string) config.Value { return config.Value{Kind: config.ValueText, Text: s} }

func TestMetadataIsMerged(t *testing.T) {
	var m Metadata
	m.SetValue("a", "k", config.Value{Kind: config.ValueStruct, Fields: map[string]config.Value{"x": text("1")}})
	m.SetValue("a", "k", config.Value{Kind: config.ValueStruct, Fields: map[string]config.Value{"y": text("2")}})
	m.SetValue("a", "z", text("3"))
	if v, _ := m.At("a"); v.String() != `{"k":{"x":"1","y":"2"},"z":"3"}` {
		t.Error(v)
	}
}

func TestStateIsSetOnceIfReadOnly(t *testing.T) {
	i := Info{Conn: &Conn{}}
	_ = i.State.Set(Object{Name: "a", Text: "1"})
	if err := i.State.Set(Object{Name: "a", Text: "2", ReadOnly: true}); err != nil {
		t.Error(err)
	}
	if err := i.State.Set(Object{Name: "a", Text: "3"}); err != ErrReadOnly {
		t.Error(err)
	}
	_ = i.Conn.State.Set(Object{Name: "b", Text: "4"})
	if i.Object("a").Text != "2" || i.Object("b").Text != "4" || i.Object("c") != nil {
		t.Error(i.State, i.Conn.State)
	}
}

// A request that nobody has noted anything of costs no allocation, and neither
// does one after another that something was noted of.
func TestResetAllocatesNothing(t *testing.T) {
	i := Info{Conn: &Conn{}}
	fields := map[string]config.Value{"k": text("v")}
	if n := testing.AllocsPerRun(100, func() {
		_ = i.State.Set(Object{Name: "a"})
		i.Flags |= NoRouteFound
		i.Reset()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	i.Metadata.Set("a", fields)
	i.Reset()
	if len(i.Metadata.All()) != 0 || i.State.Get("a") != nil || i.Flags != 0 {
		t.Error(i)
	}
}
