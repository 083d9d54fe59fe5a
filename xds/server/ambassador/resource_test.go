package ambassador

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

const crdFile = "../../../charts/attache/files/ambassador-crd.yaml"

// TestCRDIsOfTheTypes: what the chart installs is what the types say.
func TestCRDIsOfTheTypes(t *testing.T) {
	if *update {
		if err := os.WriteFile(crdFile, CRDSpec(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(crdFile); err != nil || string(got) != string(CRDSpec()) {
		t.Errorf("%s is not what the types say (%v): go test ./xds/server/ambassador -run TestCRD -update", crdFile, err)
	}
}

// TestCRDAgreesWithTheFile: both grammars have the same fields, and bound them
// alike.
func TestCRDAgreesWithTheFile(t *testing.T) {
	file := structSchema(reflect.TypeFor[Ambassador](), "")["properties"].(object)
	crd := specSchema()["properties"].(object)
	for _, name := range ofFile {
		if file[name] == nil || crd[name] != nil {
			t.Errorf("%s: the file %v, the resource %v", name, file[name] != nil, crd[name] != nil)
		}
		delete(file, name)
	}
	if crd["podSelector"] == nil {
		t.Error("podSelector is not there")
	}
	delete(crd, "podSelector")
	compareSchemas(t, "spec", object{"type": "object", "properties": file}, object{"type": "object", "properties": crd})
}

func compareSchemas(t *testing.T, path string, file, crd object) {
	t.Helper()
	if either, ok := file["oneOf"].([]any); ok {
		file = either[1].(object)
	}
	for _, key := range []string{"type", "enum", "pattern", "minLength", "minimum", "maximum", "required"} {
		a, _ := json.Marshal(file[key])
		if b, _ := json.Marshal(crd[key]); string(a) != string(b) {
			t.Errorf("%s: %s is %s in the file, %s in the resource", path, key, a, b)
		}
	}
	if crd["oneOf"] != nil || crd["const"] != nil || crd["additionalProperties"] == false || crd["default"] != nil {
		t.Errorf("%s: not structural, or with a default that is stored: %v", path, crd)
	}
	switch crd["type"] {
	case "string":
		if crd["enum"] == nil && crd["maxLength"] == nil {
			t.Errorf("%s: no bound", path)
		}
	case "array":
		if crd["maxItems"] == nil {
			t.Errorf("%s: no bound", path)
		}
		compareSchemas(t, path+"[]", file["items"].(object), crd["items"].(object))
	}
	a, _ := file["properties"].(object)
	b, _ := crd["properties"].(object)
	for name := range b {
		if a[name] == nil {
			t.Errorf("%s.%s: not in the file", path, name)
		}
	}
	for name, of := range a {
		if b[name] == nil {
			t.Errorf("%s.%s: not in the resource", path, name)
			continue
		}
		compareSchemas(t, path+"."+name, of.(object), b[name].(object))
	}
}

const base = `
sources: {file: {kind: file, path: services.yaml}}
ambassadors:
- {name: all, ports: [{name: a, port: 1, protocol: tcp, service: "dns://a:1"}]}
- {name: shop/taken, sidecars: {cluster: x}, ports: [{name: a, port: 1, protocol: tcp, service: "dns://a:1"}]}
`

const cachePort = `ports: [{name: cache, port: 11211, protocol: memcached, service: "k8s://shop/cache:main"}]`

func baseConfig(t *testing.T) *Config {
	t.Helper()
	c, problems := Load([]byte(base), "base")
	if c == nil {
		t.Fatal(problems)
	}
	return c
}

func TestReadResource(t *testing.T) {
	c := baseConfig(t)
	for _, x := range []struct{ name, spec, want string }{
		{"a", cachePort, ""},
		{"a", `{"podSelector": {}, "ports": [{"name": "cache", "port": 11211, "protocol": "memcached", "service": "k8s://shop/cache:main"}]}`, ""},
		{"a", `{}`, "spec: want ports, or resources under envoy"},
		{"a", "name: b\n" + cachePort, "spec.name: unknown"},
		{"a", "sidecars: {}\n" + cachePort, "spec.sidecars: unknown"},
		{"taken", cachePort, `metadata.name: the file of attache-control has an ambassador "shop/taken" already`},
		{"a", strings.Replace(cachePort, "memcached", "memcache", 1), `spec.ports[0].protocol: "memcache": unknown; did you mean memcached?`},
		{"a", strings.Replace(cachePort, "k8s:", "gone:", 1), "spec.ports[0].service: gone://: there is no such source"},
		{"a", `ports: [{name: a, port: 1, protocol: tcp, service: "dns://a:1", tls: {ca: /ca, certificate: /c, key: /k, send: true}}]`, "spec.ports[0].tls.send: only in the file"},
		{"a", `ports: [{name: a, port: 1, protocol: tcp, service: "consul://a", tls: {identity: "consul://web"}}]`, "spec.ports[0].tls.identity: only in the file"},
		{"a", "podSelector: {matchExpressions: [{key: a, operator: In}]}\n" + cachePort, "spec.podSelector.matchExpressions[0]: values is required with In"},
		{"a", "podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}\n" + cachePort, "spec.podSelector.matchExpressions[0].values: Exists takes none"},
		{"a", "podSelector: {matchLabel: {}}\n" + cachePort, "spec.podSelector.matchLabel: unknown; did you mean matchLabels?"},
		{"a", "[", "not readable as YAML"},
	} {
		a, problems := c.ReadResource("shop", x.name, []byte(x.spec))
		said := fmt.Sprint(problems)
		if (a == nil) != (x.want != "") || (a == nil) != load.Refused(problems) || !strings.Contains(said, x.want) {
			t.Errorf("%s: %s\nwant %q", x.spec, said, x.want)
		}
	}
}

// TestResourcesAreSelected: who names a resource comes first, then selectors in
// their order, then the file; a resource never reaches out of its namespace.
func TestResourcesAreSelected(t *testing.T) {
	c := baseConfig(t)
	read := func(ns, name, selector string) *Addition {
		t.Helper()
		a, problems := c.ReadResource(ns, name, []byte(selector+"\n"+cachePort))
		if a == nil {
			t.Fatal(problems)
		}
		return a
	}
	merged := c.With([]*Addition{
		read("shop", "everybody", "podSelector: {}"),
		read("shop", "later", "podSelector: {}"),
		read("bank", "tier", "podSelector: {matchLabels: {tier: web}, matchExpressions: [{key: app.kubernetes.io/name, operator: In, values: [a, b]}, {key: canary, operator: DoesNotExist}]}"),
		read("bank", "not", "podSelector: {matchExpressions: [{key: tier, operator: NotIn, values: [web, db]}, {key: x, operator: Exists}]}"),
		read("shop", "web", ""),
	})
	if len(c.Ambassadors) != 2 || len(merged.Ambassadors) != 7 {
		t.Errorf("%d and %d ambassadors", len(c.Ambassadors), len(merged.Ambassadors))
	}
	if services := fmt.Sprint(merged.Services()); !strings.Contains(services, "k8s://shop/cache:main") {
		t.Error(services)
	}
	for _, x := range []struct{ ns, cluster, labels, want string }{
		{"shop", "web", "{}", "shop/web"},
		{"shop", "other", "{}", "shop/everybody"},
		{"bank", "web", "{tier: web, app.kubernetes.io/name: b}", "bank/tier"},
		{"bank", "web", "{tier: web, app.kubernetes.io/name: c}", "all"},
		{"bank", "web", "{tier: web, app.kubernetes.io/name: b, canary: yes}", "all"},
		{"bank", "web", "{x: y}", "bank/not"},
		{"bank", "web", "{x: y, tier: db}", "all"},
		{"", "web", "{}", "all"},
	} {
		var labels map[string]any
		if err := yaml.Unmarshal([]byte(x.labels), &labels); err != nil {
			t.Fatal(err)
		}
		m, err := structpb.NewStruct(map[string]any{"namespace": x.ns, "labels": labels})
		if err != nil {
			t.Fatal(err)
		}
		g, ok := merged.Select(&corev3.Node{Cluster: x.cluster, Metadata: m, UserAgentName: "attache"}, true)
		if !ok || g.Ambassador.Name != x.want {
			t.Errorf("%+v: %v", x, g)
		}
	}
}

func TestAdditionChecksServices(t *testing.T) {
	a, problems := baseConfig(t).ReadResource("shop", "a", []byte(cachePort))
	if a == nil {
		t.Fatal(problems)
	}
	if a.Name() != "shop/a" || fmt.Sprint(a.Schemes()) != "[k8s]" {
		t.Error(a.Name(), a.Schemes())
	}
	problems = a.CheckServices(func(s discovery.Service) error { return fmt.Errorf("no %s", s) })
	if said := fmt.Sprint(problems); !strings.Contains(said, "spec.ports[0].service: no k8s://shop/cache:main") {
		t.Error(said)
	}
}
