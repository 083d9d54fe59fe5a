package load

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Envoy's own files are the measure of what must be taken. Some stand in
// testdata/corpus; where the whole collection lies beside the checkout, it is
// read too.
const (
	corpusHere  = "testdata/corpus"
	corpusWhole = "../../../../shared/corpus"
)

func corpora() []string {
	if _, err := os.Stat(corpusWhole); err != nil {
		return []string{corpusHere}
	}
	return []string{corpusHere, corpusWhole}
}

// corpusFile is a line of INDEX.tsv: file, repository, path, commit, kind, tier
// (not in dev-invalid), note.
type corpusFile struct{ path, name, kind, tier, note string }

func readIndex(t testing.TB, dir string) []corpusFile {
	index, err := os.ReadFile(filepath.Join(dir, "INDEX.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var files []corpusFile
	for _, line := range strings.Split(strings.TrimSpace(string(index)), "\n")[1:] {
		c := strings.Split(line, "\t")
		f := corpusFile{path: filepath.Join(dir, c[0]), name: c[0], kind: c[4], note: c[len(c)-1]}
		if len(c) > 6 {
			f.tier = c[5]
		}
		files = append(files, f)
	}
	return files
}

var noteType = regexp.MustCompile(`type=([\w.]+)`)

// message is an empty message of what the index says that the file holds.
func (f corpusFile) message(t testing.TB, doc []byte) proto.Message {
	name := "envoy.config.bootstrap.v3.Bootstrap" // also what is called a fragment without a type
	switch m := noteType.FindStringSubmatch(f.note); {
	case m != nil:
		name = m[1]
	case strings.HasSuffix(f.kind, "DS") && strings.Contains(string(doc), "resources:"):
		return new(discoveryv3.DiscoveryResponse)
	case f.kind == "LDS":
		name = "envoy.config.listener.v3.Listener"
	case strings.Contains(f.name, "list_collection"):
		return new(discoveryv3.Resource)
	}
	msg, problems := Named(nil, f.name, name, protoregistry.GlobalTypes, Options{})
	if msg == nil && !problems[0].Unsupported {
		t.Fatal(f.name, problems)
	}
	return msg
}

// load reads the file; ok is false if its type is not linked in.
func (f corpusFile) load(t testing.TB, opts Options) (problems []Problem, ok bool) {
	doc, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	msg := f.message(t, doc)
	if msg == nil {
		return nil, false
	}
	return Into(doc, f.name, msg, protoregistry.GlobalTypes, opts), true
}

// refusals are what is neither a warning nor an extension not linked in.
func refusals(problems []Problem) []Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p Problem) bool { return p.Warning || p.Unsupported })
}

// These are wrong as they stand: Envoy takes some because it reads what comes
// over xDS with less care, some because the last of two equal keys counts
// there, and some are parts of something.
var refusedOfCorpus = map[string]string{
	"configs__rendered__envoy_front_proxy.yaml":                         `duplicate key "stat_prefix"`,
	"test__config__integration__server_xds.cds.with_unknown_field.yaml": `duplicate key "typed_extension_protocol_options"`,
	"test__config__integration__server_xds.eds.with_unknown_field.yaml": "resources[0].foo: unknown field",
	"test__config__integration__server_xds.lds.with_unknown_field.yaml": "typed_config.foo: unknown field",
	"test__config__integration__server_xds.rds.with_unknown_field.yaml": "resources[0].foo: unknown field",
}

func TestEnvoysFilesLoad(t *testing.T) {
	for _, dir := range corpora() {
		loaded, unsupported, total := map[string]int{}, map[string]int{}, 0
		for _, f := range readIndex(t, filepath.Join(dir, "dev")) {
			total++
			problems, ok := f.load(t, Options{})
			if !ok {
				unsupported[f.tier]++
				continue
			}
			refused := refusals(problems)
			want, wrong := refusedOfCorpus[f.name]
			switch {
			case strings.Contains(f.note, "partial"):
				checkPartial(t, f, refused)
			case wrong && (len(refused) == 0 || !strings.Contains(refused[0].String(), want)):
				t.Errorf("%s: want %q, got %v", f.name, want, refused)
			case wrong:
				checkLenient(t, f)
			case len(refused) > 0:
				t.Errorf("%s (%s, tier %s): %v", f.name, f.kind, f.tier, refused)
			case Refused(problems):
				unsupported[f.tier]++
			default:
				loaded[f.tier]++
			}
		}
		t.Logf("%s: %d files; load by tier: %v; but for extensions not linked in: %v", dir, total, loaded, unsupported)
	}
}

// checkPartial wants of an example that leaves out required fields nothing but
// that said.
func checkPartial(t *testing.T, f corpusFile, refused []Problem) {
	for _, p := range refused {
		if !strings.Contains(p.Text, "is required") && !strings.Contains(p.Text, "at least 1") {
			t.Errorf("%s: %v", f.name, p)
		}
	}
}

// checkLenient wants the file to load with the options for files like it.
func checkLenient(t *testing.T, f corpusFile) {
	problems, _ := f.load(t, Options{AllowUnknownStatic: true, AllowDuplicateKeys: true})
	if refused := refusals(problems); len(refused) > 0 {
		t.Errorf("%s: %v", f.name, refused)
	}
}

// What Envoy refuses and what is wrong in the document itself is refused here,
// at this path. (What is wrong in its meaning is found by those who decode it.)
var refusedOfInvalid = map[string]string{
	"configs__using_deprecated_config.yaml":                                            "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route.cors.allow_origin",
	"test__server__test_data__server__invalid_bootstrap.yaml":                          "static_resources.clusters[0].name",
	"test__server__test_data__server__invalid_layered_runtime_missing_name.yaml":       "layered_runtime.layers[0].name",
	"test__server__test_data__server__invalid_layered_runtime_no_layer_specifier.yaml": "layered_runtime.layers[0]",
	"test__server__test_data__server__unparseable_bootstrap.yaml":                      "",
	"test__server__test_data__static_validation__bootstrap_unknown_field.yaml":         "foo",
	"test__server__test_data__static_validation__cluster_unknown_field.yaml":           "static_resources.clusters[0].foo",
	"test__server__test_data__static_validation__listener_unknown_field.yaml":          "static_resources.listeners[0].foo",
	"test__server__test_data__static_validation__network_filter_unknown_field.yaml":    "static_resources.listeners[0].filter_chains[0].filters[0].typed_config.foo",
	"test__tools__schema_validator__test__config__bootstrap_pgv_fail.yaml":             "stats_flush_interval",
	"test__tools__schema_validator__test__config__lds_pgv_fail.yaml":                   "resources[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].domains",
	"test__tools__schema_validator__test__config__lds_unknown.yaml":                    "resources[0].filter_chains[0].filters[0].typed_config.foo",
}

func TestEnvoysInvalidFilesAreRefused(t *testing.T) {
	for _, dir := range corpora() {
		refused := 0
		for _, f := range readIndex(t, filepath.Join(dir, "dev-invalid")) {
			problems, ok := f.load(t, Options{})
			if !ok {
				t.Fatal(f.name)
			}
			want, must := refusedOfInvalid[f.name]
			got := refusals(problems)
			switch {
			case must && (len(got) == 0 || got[0].Path != want || got[0].Line == 0):
				t.Errorf("%s: want a problem at %q, got %v", f.name, want, got)
			case !must && len(got) > 0:
				t.Errorf("%s: %s, got %v", f.name, f.note, got)
			case must:
				refused++
			}
		}
		t.Logf("%s: %d refused", dir, refused)
	}
}

// Fragments of types that are not linked in are told from types that nobody has.
func TestNamedType(t *testing.T) {
	for name, want := range map[string]string{
		"envoy.extensions.filters.network.zookeeper_proxy.v3.ZooKeeperProxy": "Envoy has this type",
		"envoy.extensions.wasm.v3.VmConfig":                                  "Envoy has this type",
		"envoy.service.rate_limit_quota.v3.BucketId":                         "Envoy has this type",
		"envoy.api.v2.Cluster":                                               "v2 API is gone",
		"envoy.config.cluster.v3.Klaster":                                    "neither Envoy v3 nor this program",
		"":                                                                   "neither Envoy v3 nor this program",
	} {
		msg, problems := Named([]byte("{}"), "", name, protoregistry.GlobalTypes, Options{})
		if msg != nil || len(problems) != 1 || !strings.Contains(problems[0].Text, want) {
			t.Errorf("%q: %v", name, problems)
		}
	}
}
