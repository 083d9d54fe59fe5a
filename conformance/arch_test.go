package conformance

// Who may import whom, and why.

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// floors is the house. A package imports only lower floors, so that what a
// package needs can be read from where it stands and no cycle of ideas can form.
// A row covers what lies below it ("xds/envoyv3" also "xds/envoyv3/load"), and
// those may import each other; "*" stands for one element, each a row of its
// own; "=" before a path means that path alone.
var floors = []struct {
	floor int
	rows  []string
}{
	{0, []string{"hashing", "charts/inject", "proxy/config", "proxy/codec/*", "proxy/hotrestart", "proxy/lifecycle", "proxy/outcome", "proxy/parallel", "proxy/stats", "=discovery", "xds/api", "xds/moves"}},
	{1, []string{"proxy/codec/http2", "proxy/codec/orca", "proxy/loop", "proxy/upstream/balance", "proxy/upstream/outlier", "discovery/*", "xds/envoyv3", "xds/secretfile"}},
	{2, []string{"proxy/transport", "proxy/h2", "proxy/demand", "xds/bootstrap", "xds/client", "xds/server"}},
	{3, []string{"xds/document", "xds/following", "proxy/pool", "proxy/streaminfo"}}, // they make connections, of either kind, or know what was agreed on
	{4, []string{"proxy/format", "proxy/match", "proxy/upstream"}},
	{5, []string{"proxy/route", "proxy/callout"}},                         // callout: requests of our own, above the pools and below what makes them
	{6, []string{"=proxy/filter", "=proxy/netfilter", "proxy/accesslog"}}, // what a filter is; the filters stand beside the rooms that they serve
	{7, []string{"proxy/memproxy", "proxy/redisproxy", "proxy/tcpproxy", "proxy/httpproxy", "proxy/standalone", "proxy/filter/*", "proxy/listener"}},
	{8, []string{"=proxy"}},
	{9, []string{"proxy/admin"}},
	{10, []string{"cmd/*", "conformance", "examples/*", "charts/image"}},
}

// rooms each speak one protocol with the application.
var rooms = []string{"proxy/httpproxy", "proxy/memproxy", "proxy/redisproxy", "proxy/tcpproxy", "proxy/standalone"}

// rule forbids imports. A forbidden path covers what lies below it; "ours but
// codecs" is every package of this module but those of proxy/codec, "rooms"
// every room but the package's own.
type rule struct {
	name      string
	under     []string
	except    []string // below under, and free of the rule
	forbidden []string
	why       string
}

var rules = []rule{
	{
		name:   "1: the data plane knows no wire configuration",
		under:  []string{"proxy"},
		except: []string{"proxy/config/transcoding"},
		forbidden: []string{
			"xds", "discovery",
			"google.golang.org/protobuf", "google.golang.org/genproto", "github.com/golang/protobuf",
			"github.com/planetscale/vtprotobuf", "github.com/envoyproxy", "github.com/cncf/xds", "cel.dev/expr",
		},
		why: "requests are served from plain checked values (proxy/config); messages and sources of names change for other reasons and at other times",
	},
	{
		name:      "2: codecs stand alone",
		under:     []string{"proxy/codec"},
		forbidden: []string{"ours but codecs"},
		why: "a codec turns bytes into messages and back; alone it can be fuzzed, cut at every byte, and trusted by all rooms alike. " +
			"What it reads may be another codec's message, as HTTP/2 fills in HTTP/1's: routing then has one vocabulary",
	},
	{
		name:      "3: a room does not import a room",
		under:     rooms,
		forbidden: []string{"rooms"},
		why:       "one protocol can then be read, changed or left out without knowing another; what two share goes down a floor",
	},
	{
		name:      "6: messages of services are read in one place",
		under:     []string{"proxy/config/transcoding"},
		forbidden: []string{"xds", "discovery", "github.com/envoyproxy", "github.com/cncf/xds"},
		why: "which JSON is which message is known by descriptors that a configuration brings (docs/decisions/0015); protobuf's library reads " +
			"them, and this package, whose values are text and bytes, is free of rule 1 for that alone",
	},
	{
		name:      "5: CEL is run in one place",
		under:     []string{"proxy", "xds", "discovery", "cmd"},
		except:    []string{"proxy/config/expression", "proxy/match/cel", "xds/envoyv3"},
		forbidden: []string{"github.com/google/cel-go"},
		why: "an expression is text in our values (docs/decisions/0014): xds/envoyv3 writes trees out as text, proxy/config/expression says what " +
			"is taken, proxy/match/cel runs it; cel-go brings protobuf with it, which nobody else is to see",
	},
	{
		name:      "4: sources of names do not know the data plane",
		under:     []string{"discovery"},
		forbidden: []string{"proxy", "xds"},
		why:       "only cmd joins the data plane with discovery; a catalog serves gRPC clients and Envoy as well as attache",
	},
}

// joins are the only places that may see both a source of names and the data
// plane (rule 4); proxy/config is values, not yet the data plane.
var joins = []string{"cmd", "conformance", "examples"}

// heavy libraries belong to the control plane; the sidecar stays small.
var heavy = []string{"k8s.io", "sigs.k8s.io", "github.com/hashicorp/consul", "github.com/nats-io/nats-server"}

func TestFloors(t *testing.T) {
	report(t, brokenFloors(readSource(t)))
}

func TestImportRules(t *testing.T) {
	report(t, brokenRules(readSource(t)))
}

func TestLeanSidecar(t *testing.T) {
	report(t, heavySidecar(readSource(t)))
}

func report(t *testing.T, broken []string) {
	t.Helper()
	for _, b := range broken {
		t.Error(b)
	}
}

// stand is a package's place: its floor, and the row that gave it.
type stand struct {
	floor int
	row   string
}

// standOf finds the longest row that covers pkg.
func standOf(pkg string) (best stand, found bool) {
	for _, f := range floors {
		for _, row := range f.rows {
			if at, ok := matchRow(row, pkg); ok && len(at) >= len(best.row) {
				best, found = stand{f.floor, at}, true
			}
		}
	}
	return best, found
}

// matchRow gives the path that the row stands for in pkg: "discovery/*" is
// "discovery/kube" for "discovery/kube/watch".
func matchRow(row, pkg string) (string, bool) {
	if alone, ok := strings.CutPrefix(row, "="); ok {
		return alone, pkg == alone
	}
	parent, star := strings.CutSuffix(row, "/*")
	if !star {
		return row, under(pkg, row)
	}
	rest, ok := strings.CutPrefix(pkg, parent+"/")
	child, _, _ := strings.Cut(rest, "/")
	return parent + "/" + child, ok
}

func brokenFloors(src *source) (broken []string) {
	for _, pkg := range slices.Sorted(maps.Keys(src.packages)) {
		own, ok := standOf(pkg)
		if !ok {
			broken = append(broken, fmt.Sprintf("%s stands on no floor: give it a row in the table, on the lowest floor that its imports allow", pkg))
			continue
		}
		for imported, at := range sorted(src.imports(pkg)) {
			other, ours := standOf(imported)
			if !ours || other.row == own.row || other.floor < own.floor {
				continue
			}
			broken = append(broken, fmt.Sprintf("%s: %s (floor %d) imports %s (floor %d): a package imports only lower floors, so that dependencies run one way",
				at, pkg, own.floor, imported, other.floor))
		}
	}
	return broken
}

func brokenRules(src *source) (broken []string) {
	for _, pkg := range slices.Sorted(maps.Keys(src.packages)) {
		imports := src.imports(pkg)
		for _, r := range rules {
			covers := func(dir string) bool { return under(pkg, dir) }
			if !slices.ContainsFunc(r.under, covers) || slices.ContainsFunc(r.except, covers) {
				continue
			}
			for imported, at := range sorted(imports) {
				if r.forbids(src, pkg, imported) {
					broken = append(broken, fmt.Sprintf("%s: %s imports %s: rule %s, for %s", at, pkg, imported, r.name, r.why))
				}
			}
		}
		if found := joinsTwo(pkg, imports); found != "" {
			broken = append(broken, found)
		}
	}
	return broken
}

func (r rule) forbids(src *source, pkg, imported string) bool {
	return slices.ContainsFunc(r.forbidden, func(dir string) bool {
		switch dir {
		case "ours but codecs":
			_, ours := src.packages[imported]
			return ours && !under(imported, "proxy/codec")
		case "rooms":
			return slices.ContainsFunc(rooms, func(room string) bool { return under(imported, room) && !under(pkg, room) })
		}
		return under(imported, dir)
	})
}

// joinsTwo is the other half of rule 4.
func joinsTwo(pkg string, imports map[string]string) string {
	if slices.ContainsFunc(joins, func(dir string) bool { return under(pkg, dir) }) {
		return ""
	}
	var plane, names string
	for imported := range sorted(imports) {
		if under(imported, "proxy") && !under(imported, "proxy/config") {
			plane = imported
		}
		if under(imported, "discovery") {
			names = imported
		}
	}
	if plane == "" || names == "" {
		return ""
	}
	return fmt.Sprintf("%s imports %s and %s: rule 4, only cmd joins the data plane with discovery, for each must be usable without the other", pkg, plane, names)
}

// heavySidecar follows the imports of cmd/attache through our own packages.
func heavySidecar(src *source) (broken []string) {
	seen := map[string]bool{}
	var visit func(pkg string)
	visit = func(pkg string) {
		if seen[pkg] {
			return
		}
		seen[pkg] = true
		for imported, at := range sorted(src.imports(pkg)) {
			if _, ours := src.packages[imported]; ours {
				visit(imported)
			}
			if slices.ContainsFunc(heavy, func(lib string) bool { return under(imported, lib) }) {
				broken = append(broken, fmt.Sprintf("%s: cmd/attache reaches %s: the sidecar runs beside every application and stays small; this belongs to attache-control", at, imported))
			}
		}
	}
	visit("cmd/attache")
	return broken
}

// sorted walks a map in the order of its keys.
func sorted(m map[string]string) func(yield func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
