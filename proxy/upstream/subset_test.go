package upstream

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
)

func textValue(s string) config.Value { return config.Value{Kind: config.ValueText, Text: s} }

// labelled is a cluster whose hosts have these labels: "stage=prod version=1"; a
// value "a,b" is a list.
func labelled(kind config.BalanceKind, s *config.Subsets, labels ...string) *config.Cluster {
	c := static(kind, slices.Repeat([]uint32{1}, len(labels))...)
	for i, text := range labels {
		fields := map[string]config.Value{}
		for _, f := range strings.Fields(text) {
			name, value, _ := strings.Cut(f, "=")
			if parts := strings.Split(value, ","); len(parts) > 1 {
				l := config.Value{Kind: config.ValueList}
				for _, p := range parts {
					l.List = append(l.List, textValue(p))
				}
				fields[name] = l
			} else {
				fields[name] = textValue(value)
			}
		}
		c.Endpoints.Localities[0].Endpoints[i].FilterMetadata = config.FilterMetadata{"envoy.lb": fields}
	}
	c.Subsets = s
	return c
}

func wanted(text string) config.Criteria {
	fields := map[string]config.Value{}
	for _, f := range strings.Fields(text) {
		name, value, _ := strings.Cut(f, "=")
		fields[name] = textValue(value)
	}
	return config.CriteriaOf(fields)
}

func TestSubsets(t *testing.T) {
	stage := config.SubsetSelector{Keys: []string{"stage"}, Fallback: config.FallbackNotDefined}
	both := config.SubsetSelector{Keys: []string{"stage", "version"}, Fallback: config.FallbackNotDefined}
	with := func(x config.SubsetSelector, f config.SubsetFallback, keys ...string) config.SubsetSelector {
		x.Fallback, x.FallbackKeys = f, keys
		return x
	}
	hosts := []string{"stage=prod version=1", "stage=prod version=2", "stage=dev version=2", "version=3", "stage=dev,test"}
	for _, x := range []struct {
		name string
		s    config.Subsets
		want string
		got  string // the hosts that are picked, "" for none
	}{
		{"one key", config.Subsets{Selectors: []config.SubsetSelector{stage}}, "stage=prod", "1 2"},
		{"two keys", config.Subsets{Selectors: []config.SubsetSelector{stage, both}}, "stage=prod version=2", "2"},
		{"no such value", config.Subsets{Selectors: []config.SubsetSelector{stage}}, "stage=none", ""},
		{"no such key", config.Subsets{Selectors: []config.SubsetSelector{stage}}, "version=1", ""},
		{"nothing wanted", config.Subsets{Selectors: []config.SubsetSelector{stage}}, "", ""},
		{"anybody", config.Subsets{Fallback: config.FallbackAny, Selectors: []config.SubsetSelector{stage}}, "stage=none", "1 2 3 4 5"},
		{"the default", config.Subsets{Fallback: config.FallbackDefault, Default: wanted("version=2"), Selectors: []config.SubsetSelector{stage}}, "", "2 3"},
		{"a default that nobody is in", config.Subsets{Fallback: config.FallbackDefault, Default: wanted("version=9"), Selectors: []config.SubsetSelector{stage}}, "", ""},
		{"panic", config.Subsets{Fallback: config.FallbackDefault, Default: wanted("version=9"), PanicAny: true, Selectors: []config.SubsetSelector{stage}}, "", "1 2 3 4 5"},
		{"a selector's own fallback", config.Subsets{Fallback: config.FallbackNone, Selectors: []config.SubsetSelector{with(stage, config.FallbackAny)}}, "stage=none", "1 2 3 4 5"},
		{"none of its own", config.Subsets{Fallback: config.FallbackAny, Selectors: []config.SubsetSelector{with(stage, config.FallbackNone)}}, "stage=none", ""},
		{"its default", config.Subsets{Default: wanted("version=3"), Selectors: []config.SubsetSelector{with(stage, config.FallbackDefault)}}, "stage=none", "4"},
		{"fewer keys", config.Subsets{Selectors: []config.SubsetSelector{stage, with(both, config.FallbackKeys, "stage")}}, "stage=prod version=9", "1 2"},
		{"a list is a value", config.Subsets{Selectors: []config.SubsetSelector{stage}}, "stage=test", ""},
		{"or any of it", config.Subsets{ListAsAny: true, Selectors: []config.SubsetSelector{stage}}, "stage=dev", "3 5"},
		{"one host each", config.Subsets{Selectors: []config.SubsetSelector{{Keys: []string{"stage"}, Single: true}}}, "stage=prod", "1"},
		{"redundant keys", config.Subsets{Selectors: []config.SubsetSelector{stage}}, "stage=dev other=1", ""},
		{"that are allowed", config.Subsets{AllowRedundant: true, Selectors: []config.SubsetSelector{stage}}, "stage=dev other=1", "3"},
	} {
		for _, kind := range []config.BalanceKind{config.RoundRobin, config.LeastRequest, config.Random, config.MaglevLB} {
			t.Run(fmt.Sprint(x.name, " ", kind), func(t *testing.T) {
				_, l := opened(t, labelled(kind, &x.s, hosts...))
				var got []string
				for i := range count(l, 400, Pick{Match: wanted(x.want)}) {
					if i > 0 {
						got = append(got, fmt.Sprint(i))
					}
				}
				slices.Sort(got)
				if s := strings.Join(got, " "); s != x.got {
					t.Errorf("picks go to %q, want %q", s, x.got)
				}
			})
		}
	}
}

// The list of what is wanted is tried one after the other.
func TestSubsetFallbackList(t *testing.T) {
	s := &config.Subsets{FallbackList: true, Selectors: []config.SubsetSelector{{Keys: []string{"stage", "version"}, Fallback: config.FallbackNotDefined}}}
	_, l := opened(t, labelled(config.RoundRobin, s, "stage=prod version=1", "stage=prod version=2"))
	one := func(v string) config.Value {
		return config.Value{Kind: config.ValueStruct, Fields: map[string]config.Value{"version": textValue(v)}}
	}
	match := config.CriteriaOf(map[string]config.Value{
		"stage": textValue("prod"), "fallback_list": {Kind: config.ValueList, List: []config.Value{one("9"), one("2"), one("1")}},
	})
	if got := count(l, 100, Pick{Match: match}); got[2] != 100 {
		t.Errorf("picks: %v", got)
	}
}

func TestSubsetPicksDoNotAllocate(t *testing.T) {
	s := &config.Subsets{Fallback: config.FallbackAny, AllowRedundant: true, Selectors: []config.SubsetSelector{{Keys: []string{"stage"}}}}
	_, l := opened(t, labelled(config.RoundRobin, s, "stage=prod", "stage=dev"))
	found, other := &Pick{Match: wanted("stage=prod x=1")}, &Pick{Match: wanted("stage=none")}
	l.Pick(found)
	if n := testing.AllocsPerRun(100, func() { l.Pick(found); l.Pick(other) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A subset in which too few hosts are fit is in panic by itself, and one whose
// hosts leave is no more.
func TestSubsetsLiveAlone(t *testing.T) {
	s := &config.Subsets{Selectors: []config.SubsetSelector{{Keys: []string{"stage"}, Fallback: config.FallbackNotDefined}}}
	c := labelled(config.RoundRobin, s, "stage=prod", "stage=prod", "stage=dev", "stage=dev")
	for _, e := range c.Endpoints.Localities[0].Endpoints[:2] {
		e.Health = config.HealthUnhealthy
	}
	_, l := opened(t, c)
	if got := count(l, 100, Pick{Match: wanted("stage=prod")}); got[1] != 50 || got[2] != 50 {
		t.Errorf("in panic: %v", got)
	}
	next := labelled(config.RoundRobin, s, "stage=dev")
	if err := l.Update(next); err != nil {
		t.Fatal(err)
	}
	if got := count(l, 100, Pick{Match: wanted("stage=prod")}); got[0] != 100 {
		t.Errorf("nobody is left, and picks go to %v", got)
	}
}
