package route

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
)

// The index finds what trying every rule finds, whatever the rules and paths are.
func TestIndexIsTheSameAsAll(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	text := func(n int) string {
		var b strings.Builder
		b.WriteByte('/')
		for range rng.IntN(n) {
			b.WriteByte("ab/"[rng.IntN(3)])
		}
		return b.String()
	}
	for range 2000 {
		rules := make([]rule, fewRules+1+rng.IntN(40))
		for i := range rules {
			m := config.RouteMatch{Path: config.PathMatch{Kind: config.PathKind(rng.IntN(5)), Value: text(6)}}
			if m.Path.Kind == config.PathRegex {
				m.Path.Regex = regexp.MustCompile("^" + text(3) + ".?$")
			}
			m.IgnoreCase = rng.IntN(8) == 0
			if rng.IntN(4) == 0 {
				m.Runtime = &config.Fraction{Num: uint32(rng.IntN(100)), Den: 100}
			}
			rules[i] = compileRule(&m)
		}
		x := newIndex(rules)
		for range 20 {
			r := &Request{Method: []byte("GET"), Path: []byte(text(9))}
			random := rng.Uint64()
			if got, want := x.match(rules, r, r.Path, random), matchAll(rules, r, r.Path, random); got != want {
				t.Fatalf("%s: rule %d, want %d", r.Path, got, want)
			}
		}
	}
}

// manyRoutes is a table of n routes, exact and prefix ones by turns, and one for the rest.
func manyRoutes(tb testing.TB, n int) *Table[string] {
	routes := make([]*config.Route, 0, n)
	for i := range n - 1 {
		m := config.RouteMatch{Path: config.PathMatch{Kind: config.PathPrefix, Value: fmt.Sprintf("/service-%04d/", i)}}
		if i%2 == 0 {
			m.Path = config.PathMatch{Kind: config.PathExact, Value: fmt.Sprintf("/api/v%d/item-%04d", i%7, i)}
		}
		routes = append(routes, &config.Route{Match: m, Action: &config.Forward{Cluster: "c"}})
	}
	routes = append(routes, &config.Route{Match: config.RouteMatch{Path: config.PathMatch{Kind: config.PathPrefix, Value: "/"}}, Action: &config.Forward{Cluster: "c"}})
	table, err := Compile(&config.RouteTable{VirtualHosts: []*config.VirtualHost{{Name: "v", Domains: []string{"*"}, Routes: routes}}},
		func(name string) (string, bool) { return name, true })
	if err != nil {
		tb.Fatal(err)
	}
	return table
}

func BenchmarkRoutes(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			table := manyRoutes(b, n)
			path := []byte(fmt.Sprintf("/service-%04d/and/more?x=y", (n-2)|1))
			r := &Request{Method: []byte("GET"), Host: []byte("h"), Path: path}
			b.ReportAllocs()
			for b.Loop() {
				if table.Match(r, 1) == nil {
					b.Fatal("no route")
				}
			}
		})
	}
}

func BenchmarkCompile10000(b *testing.B) {
	for b.Loop() {
		manyRoutes(b, 10_000)
	}
}
