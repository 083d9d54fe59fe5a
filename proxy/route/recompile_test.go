package route

// That a table made from the one before is the one that would have been compiled.

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
)

// world is a table that changes, and clusters that come and go.
type world struct {
	rng   *rand.Rand
	table *config.RouteTable
	gone  map[string]bool
	moved bool
}

func (w *world) resolve(name string) (string, bool) {
	if w.gone[name] {
		return "", false
	}
	return "@" + name, true
}

func (w *world) route() *config.Route {
	f := &config.Forward{Cluster: fmt.Sprint("c", w.rng.IntN(5))}
	r := &config.Route{Name: fmt.Sprint(w.rng.Uint32()), Action: f, Match: config.RouteMatch{Path: config.PathMatch{Value: fmt.Sprintf("/%d", w.rng.IntN(30))}}}
	switch w.rng.IntN(4) {
	case 0:
		r.Action = &config.Direct{Status: 200 + w.rng.IntN(100)}
	case 1:
		r.Filters = []config.FilterOverride{{}}
		f.Mirrors = []config.Mirror{{Cluster: fmt.Sprint("c", w.rng.IntN(5))}}
	case 2:
		r.Match.Path.Kind = config.PathExact
	}
	return r
}

func (w *world) host() *config.VirtualHost {
	v := &config.VirtualHost{Name: fmt.Sprint("h", w.rng.IntN(1000)), Domains: []string{fmt.Sprintf("d%d", w.rng.Uint32())}}
	for range 1 + w.rng.IntN(20) {
		v.Routes = append(v.Routes, w.route())
	}
	return v
}

// change does what the next version of a table does: what is not the same is a new
// value, and lists are new lists.
func (w *world) change() {
	t := *w.table
	t.VirtualHosts = append([]*config.VirtualHost(nil), t.VirtualHosts...)
	w.moved = false
	i := w.rng.IntN(len(t.VirtualHosts))
	v := *t.VirtualHosts[i]
	v.Routes = append([]*config.Route(nil), v.Routes...)
	t.VirtualHosts[i] = &v
	j := w.rng.IntN(len(v.Routes))
	switch w.rng.IntN(9) {
	case 0:
		v.Routes = append(v.Routes[:j], append([]*config.Route{w.route()}, v.Routes[j:]...)...)
	case 1:
		if v.Routes = append(v.Routes[:j], v.Routes[j+1:]...); len(v.Routes) == 0 {
			v.Routes = append(v.Routes, w.route())
		}
	case 2:
		t.VirtualHosts = append(t.VirtualHosts, w.host())
	case 3:
		t.VirtualHosts[i] = w.host()
	case 4:
		if len(t.VirtualHosts) > 1 {
			t.VirtualHosts = append(t.VirtualHosts[:i], t.VirtualHosts[i+1:]...)
		}
	case 5:
		v.Headers.RequestRemove = []string{fmt.Sprint("x", j)}
	case 6:
		name := fmt.Sprint("c", w.rng.IntN(5))
		w.gone[name], w.moved = !w.gone[name], true
	case 7:
		t.Headers.RequestRemove = []string{fmt.Sprint("y", j)}
	default:
		v.Routes[j] = w.route()
	}
	w.table = &t
}

func TestRecompiledIsCompiled(t *testing.T) {
	for seed := range uint64(40) {
		w := &world{rng: rand.New(rand.NewPCG(seed, 1)), gone: map[string]bool{}}
		w.table = &config.RouteTable{Name: "t", VirtualHosts: []*config.VirtualHost{w.host()}}
		var table *Table[string]
		for step := range 60 {
			was := w.table
			w.change()
			next, err := Recompile(table, w.table, w.moved, w.resolve)
			if err != nil {
				t.Fatal(err)
			}
			fresh := mustCompileWith(t, w.table, w.resolve)
			if text := differs(next, fresh, w); text != "" {
				t.Fatalf("seed %d, step %d: %s", seed, step, text)
			}
			if table != nil && !w.moved {
				kept(t, was, w.table, table, next)
			}
			if len(next.Overrides) > 2*len(fresh.Overrides)+200 {
				t.Fatalf("%d sets of overrides are carried on, of which %d are anybody's", len(next.Overrides), len(fresh.Overrides))
			}
			table = next
		}
	}
}

func mustCompileWith(t *testing.T, c *config.RouteTable, resolve func(string) (string, bool)) *Table[string] {
	t.Helper()
	table, err := Compile(c, resolve)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// differs asks both tables the same.
func differs(a, b *Table[string], w *world) string {
	for range 50 {
		v := w.table.VirtualHosts[w.rng.IntN(len(w.table.VirtualHosts))]
		req := &Request{Method: []byte("GET"), Host: []byte(v.Domains[0]), Path: fmt.Appendf(nil, "/%d", w.rng.IntN(30))}
		x, y := a.Match(req, 1), b.Match(req, 1)
		if (x == nil) != (y == nil) {
			return fmt.Sprintf("%s%s: %v or %v", req.Host, req.Path, x, y)
		}
		if x == nil {
			continue
		}
		if x.Asked != y.Asked || x.Status != y.Status || x.VirtualHost != y.VirtualHost || len(x.Host.Headers.RequestRemove) != len(y.Host.Headers.RequestRemove) {
			return fmt.Sprintf("%s%s: %+v or %+v", req.Host, req.Path, x, y)
		}
		if x.Kind != Forward {
			continue
		}
		c, p, ok := x.Cluster(req, 1, nil)
		d, q, too := y.Cluster(req, 1, nil)
		if c != d || ok != too || (p.Overrides < 0) != (q.Overrides < 0) || len(p.RequestOps) != len(q.RequestOps) {
			return fmt.Sprintf("%s%s goes to %q or %q", req.Host, req.Path, c, d)
		}
		if p.Overrides >= 0 && &a.Overrides[p.Overrides][0][0] != &b.Overrides[q.Overrides][0][0] {
			return fmt.Sprintf("%s%s: other overrides", req.Host, req.Path)
		}
	}
	return ""
}

// kept checks that what did not change was not compiled again: by number, and where
// nothing around it has changed.
func kept(t *testing.T, was, is *config.RouteTable, before, after *Table[string]) {
	t.Helper()
	if len(was.Headers.RequestRemove) != len(is.Headers.RequestRemove) || len(is.Headers.RequestRemove) > 0 || before.sets.overgrown() {
		return
	}
	for i, v := range is.VirtualHosts {
		if i < len(was.VirtualHosts) && was.VirtualHosts[i] == v && before.hosts[i] != after.hosts[i] {
			t.Fatalf("virtual host %d of %d is compiled again", i, len(is.VirtualHosts))
		}
	}
}

// One route of 10,000 changes: what it goes to, or what it matches.
func BenchmarkOneRouteOf10000(b *testing.B) {
	for _, what := range []string{"action", "match"} {
		b.Run(what, func(b *testing.B) {
			table := &config.RouteTable{VirtualHosts: []*config.VirtualHost{{Name: "v", Domains: []string{"*"}}}}
			for i := range 10_000 {
				table.VirtualHosts[0].Routes = append(table.VirtualHosts[0].Routes, &config.Route{
					Match:  config.RouteMatch{Path: config.PathMatch{Value: fmt.Sprintf("/service-%d/", i)}},
					Action: &config.Forward{Cluster: fmt.Sprint("c", i)},
				})
			}
			resolve := func(name string) (string, bool) { return name, true }
			now, err := Compile(table, resolve)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				v := *table.VirtualHosts[0]
				v.Routes = append([]*config.Route(nil), v.Routes...)
				r := *v.Routes[5000]
				r.Action = &config.Forward{Cluster: fmt.Sprint("d", n)}
				if what == "match" {
					r.Match.Path.Value = fmt.Sprintf("/other-%d/", n)
				}
				v.Routes[5000] = &r
				next := *table
				next.VirtualHosts = []*config.VirtualHost{&v}
				if now, err = Recompile(now, &next, false, resolve); err != nil {
					b.Fatal(err)
				}
				table = &next
			}
		})
	}
}
