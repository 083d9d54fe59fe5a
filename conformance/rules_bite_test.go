package conformance

// Each rule seen to catch what it forbids and to leave its neighbour alone: a
// rule that cannot fail guards nothing.

import (
	"go/token"
	"strings"
	"testing"
)

func TestRulesBite(t *testing.T) {
	const ours = module + "/"
	tests := []struct {
		name  string
		check func(*source) []string
		files map[string]string
		want  []string // a piece of each complaint; none: the source is in order
	}{
		{
			"a lower floor is free", brokenFloors,
			map[string]string{"proxy/pool/p.go": imports("pool", ours+"proxy/loop"), "proxy/loop/l.go": "package loop"},
			nil,
		},
		{
			"an upper floor", brokenFloors,
			map[string]string{"proxy/loop/l.go": imports("loop", ours+"proxy/pool"), "proxy/pool/p.go": "package pool"},
			[]string{"proxy/loop (floor 1) imports proxy/pool (floor 3)"},
		},
		{
			"the same floor", brokenFloors,
			map[string]string{"discovery/kube/k.go": imports("kube", ours+"discovery/dns"), "discovery/dns/d.go": "package dns"},
			[]string{"discovery/kube (floor 1) imports discovery/dns"},
		},
		{
			"a package and its own parts", brokenFloors,
			map[string]string{"xds/envoyv3/e.go": imports("envoyv3", ours+"xds/envoyv3/load"), "xds/envoyv3/load/l.go": "package load"},
			nil,
		},
		{
			"a part that has a floor of its own", brokenFloors,
			map[string]string{"proxy/upstream/u.go": imports("upstream", ours+"proxy/upstream/outlier"), "proxy/upstream/outlier/h.go": imports("outlier", ours+"proxy/upstream")},
			[]string{"proxy/upstream/outlier (floor 1) imports proxy/upstream (floor 4)"},
		},
		{
			"a package without a floor", brokenFloors,
			map[string]string{"proxy/helper/h.go": "package helper"},
			[]string{"proxy/helper stands on no floor"},
		},
		{
			"a test may import what it likes", brokenFloors,
			map[string]string{"proxy/loop/l_test.go": imports("loop", ours+"proxy")},
			nil,
		},
		{
			"protobuf in the data plane", brokenRules,
			map[string]string{"proxy/listener/l.go": imports("listener", "google.golang.org/protobuf/proto")},
			[]string{"rule 1"},
		},
		{
			"a codec with company", brokenRules,
			map[string]string{"proxy/codec/resp/r.go": imports("resp", ours+"hashing"), "hashing/h.go": "package hashing"},
			[]string{"rule 2"},
		},
		{
			"a codec that fills in another's message", brokenRules,
			map[string]string{"proxy/codec/http2/h.go": imports("http2", ours+"proxy/codec/http1"), "proxy/codec/http1/h.go": "package http1"},
			nil,
		},
		{
			"two codecs that know each other", brokenFloors,
			map[string]string{
				"proxy/codec/http2/h.go": imports("http2", ours+"proxy/codec/http1"),
				"proxy/codec/http1/h.go": imports("http1", ours+"proxy/codec/http2"),
			},
			[]string{"proxy/codec/http1 (floor 0) imports proxy/codec/http2 (floor 1)"},
		},
		{
			"a room in a room", brokenRules,
			map[string]string{"proxy/httpproxy/h.go": imports("httpproxy", ours+"proxy/tcpproxy"), "proxy/tcpproxy/t.go": "package tcpproxy"},
			[]string{"rule 3"},
		},
		{
			"a room and its own parts", brokenRules,
			map[string]string{"proxy/httpproxy/h.go": imports("httpproxy", ours+"proxy/httpproxy/filter")},
			nil,
		},
		{
			"discovery that knows the proxy", brokenRules,
			map[string]string{"discovery/dns/d.go": imports("dns", ours+"proxy/config")},
			[]string{"rule 4"},
		},
		{
			"CEL run by two", brokenRules,
			map[string]string{"proxy/route/r.go": imports("route", "github.com/google/cel-go/cel")},
			[]string{"rule 5"},
		},
		{
			"CEL where it is run", brokenRules,
			map[string]string{"proxy/match/cel/c.go": imports("cel", "github.com/google/cel-go/cel")},
			nil,
		},
		{
			"a joint outside cmd", brokenRules,
			map[string]string{"xds/server/s.go": imports("server", ours+"discovery", ours+"proxy/upstream")},
			[]string{"rule 4, only cmd joins"},
		},
		{
			"config values beside discovery", brokenRules,
			map[string]string{"xds/server/s.go": imports("server", ours+"discovery", ours+"proxy/config")},
			nil,
		},
		{
			"a heavy library behind the sidecar", heavySidecar,
			map[string]string{"cmd/attache/m.go": imports("main", ours+"xds/client"), "xds/client/c.go": imports("client", "k8s.io/client-go/rest")},
			[]string{"cmd/attache reaches k8s.io/client-go/rest"},
		},
		{
			"a package without a sentence", silentPackages,
			map[string]string{"a/a.go": "package a", "b/b.go": "// Package b says what it is.\npackage b", "c/c.pb.go": "package c"},
			[]string{"a: no file says"},
		},
		{
			"init", initFuncs,
			map[string]string{"a/a.go": "package a\nfunc init() {}", "a/a.pb.go": "package a\nfunc init() {}", "b/b.go": "package b\ntype T int\nfunc (T) init() {}"},
			[]string{"a/a.go:2: func init"},
		},
		{
			"a test that sleeps", sleepingTests,
			map[string]string{"a/a_test.go": imports("a", "time") + "func f() { time.Sleep(1) }", "conformance/c_test.go": imports("conformance", "time") + "func f() { time.Sleep(1) }"},
			[]string{"a/a_test.go:3: time.Sleep"},
		},
		{
			"exported names without a word", undocumented,
			map[string]string{"a/a.go": "package a\ntype T int\nfunc (T) M() {}\nfunc (t) M() {}\n// C is.\nconst C = 1\nvar V int\nvar w int\nconst (\n\tD = 1 // D is.\n\tE = 2\n)\nconst (\n\tF T = iota\n\tG\n)\nfunc (T) String() string { return `` }\n"},
			[]string{"a.T ", "a.M ", "a.V ", "a.E "},
		},
		{
			"a registry", packageState,
			map[string]string{"a/a.go": "package a\nvar m = map[string]int{}\nfunc f(m map[int]int) { m[1] = 2 }\n", "a/b.go": "package a\nfunc g() { m[`x`] = 1 }\n"},
			[]string{"a/b.go:2: a.m is a package variable and is written"},
		},
		{
			"a table that stays as it is", packageState,
			map[string]string{"a/a.go": "package a\nvar m = map[string]int{`x`: 1}\nfunc f() int { return m[`x`] }\n"},
			nil,
		},
		{
			"a package's own lock", packageState,
			map[string]string{"a/a.go": imports("a", "sync", "sync/atomic") + "var mu sync.Mutex\nvar p atomic.Pointer[int]\nvar q = &sync.Pool{}\n"},
			[]string{"type sync.Mutex", "type atomic.Pointer", "type sync.Pool"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := &source{fset: token.NewFileSet(), packages: map[string][]*file{}}
			for name, text := range tt.files {
				if err := src.add(name, text); err != nil {
					t.Fatal(err)
				}
			}
			got := tt.check(src)
			if len(got) != len(tt.want) {
				t.Fatalf("got %d complaints, want %d: %q", len(got), len(tt.want), got)
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("complaint %d is %q, want it to say %q", i, got[i], want)
				}
			}
		})
	}
}

// imports is the head of a file of package name that imports paths, in one line
// after the first.
func imports(name string, paths ...string) string {
	return "package " + name + "\nimport (\"" + strings.Join(paths, "\"; \"") + "\")\n"
}
