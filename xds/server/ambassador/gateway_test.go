package ambassador

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/structpb"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
	"github.com/attache-mesh/attache/xds/server"
	"github.com/attache-mesh/attache/xds/server/gateway"
)

// TestGateway reads every script under testdata/gateway: a configuration, objects
// of a cluster and nodes; out come what each route is told, and each node's
// clusters and route tables, which attache must be able to take.
//
//	-- config --     the file
//	-- objects --    Services, routes and ReferenceGrants; creation times are days
//	-- node X --     a node; X is a remark
//	-- want --       what comes of it
func TestGateway(t *testing.T) { scripts(t, "testdata/gateway/*.txt", playGateway) }

func playGateway(t *testing.T, script []section) string {
	t.Helper()
	var out strings.Builder
	var plain, c *Config
	for _, s := range script {
		switch kind, remark, _ := strings.Cut(s.name, " "); kind {
		case "config":
			var problems []Problem
			if plain, problems = Load([]byte(s.text), "attache-control.yaml"); plain == nil {
				t.Fatal(problems)
			}
		case "objects":
			table, verdicts := gateway.Judge(readObjects(t, s.text))
			for _, v := range verdicts {
				writeVerdict(&out, &v)
			}
			c = plain.WithRoutes(table, func(scheme string) bool { return scheme == "k8s" })
		case "node":
			node := &corev3.Node{}
			if problems := load.Into([]byte(s.text), "node.yaml", node, protoregistry.GlobalTypes, load.Options{}); load.Refused(problems) {
				t.Fatal(problems)
			}
			g, _ := c.Select(node, true)
			fmt.Fprintf(&out, "== %s: %s\n", remark, g)
			writeRoutes(t, &out, buildWithout(c, g), g.Client)
		default:
			t.Fatalf("no section is called %q", s.name)
		}
	}
	return out.String()
}

// buildWithout builds what a group gets while no instance is known.
func buildWithout(c *Config, g Group) *server.Bundle {
	return NewBuilder(c, nil).Build(g, func(Use) discovery.State { return discovery.State{} }, func(Secret) *server.Resource { return nil })
}

type clusterObject struct {
	Kind     string
	Metadata struct {
		Namespace, Name string
		Day             int
	}
	Spec any
}

func readObjects(t *testing.T, text string) ([]*gateway.Parsed, *gateway.World) {
	t.Helper()
	var routes []*gateway.Parsed
	world := &gateway.World{Services: map[gateway.ID]gateway.Service{}}
	for _, doc := range strings.Split(text, "---\n") {
		var o clusterObject
		if err := sigsyaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		spec, err := sigsyaml.Marshal(o.Spec)
		if err == nil {
			spec, err = sigsyaml.YAMLToJSON(spec)
		}
		if err != nil {
			t.Fatal(err)
		}
		switch o.Kind {
		case "Service":
			world.Services[gateway.ID{Namespace: o.Metadata.Namespace, Name: o.Metadata.Name}] = gateway.ParseService(spec)
		case "ReferenceGrant":
			world.Grants = append(world.Grants, gateway.ParseGrant(o.Metadata.Namespace, spec))
		default:
			routes = append(routes, gateway.Parse(gateway.Object{
				Kind: gateway.Kind(o.Kind), Namespace: o.Metadata.Namespace, Name: o.Metadata.Name, UID: o.Metadata.Name,
				Created: time.Unix(int64(o.Metadata.Day)*86400, 0), Spec: spec,
			}))
		}
	}
	return routes, world
}

func writeVerdict(out *strings.Builder, v *gateway.Verdict) {
	for i, p := range v.Parents {
		fmt.Fprintf(out, "%s parent %d", v.String(), i)
		for _, c := range p.Conditions {
			fmt.Fprintf(out, "\n  %s=%s/%s", c.Type, c.Status, c.Reason)
			if c.Message != "" {
				out.WriteString(": " + c.Message)
			}
		}
		out.WriteByte('\n')
	}
}

func writeRoutes(t *testing.T, out *strings.Builder, b *server.Bundle, client Client) {
	t.Helper()
	if client == Attache {
		takenByAttache(t, b)
	}
	fmt.Fprintf(out, "-- Clusters %s\n", strings.Join(b.Names(resource.ClusterType), " "))
	for _, name := range b.Names(resource.RouteType) {
		doc, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(b.Resource(resource.RouteType, name).Message)
		if err != nil {
			t.Fatal(err)
		}
		text, err := sigsyaml.JSONToYAML(doc)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(out, "-- RouteConfiguration %s\n%s\n", name, bytes.TrimRight(text, "\n"))
	}
}

const shopFile = `
ambassadors:
- name: web
  ports:
  - {name: cart, port: 8080, protocol: http, service: "k8s://shop/cart:http"}
  - {name: other, port: 8081, protocol: http, service: "k8s://shop/other:80"}
  - {name: cache, port: 11211, protocol: memcached, service: "k8s://shop/cart:http"}
`

const shopObjects = `
kind: Service
metadata: {namespace: shop, name: cart}
spec: {ports: [{name: http, port: 80}]}
---
kind: Service
metadata: {namespace: shop, name: canary}
spec: {ports: [{name: http, port: 80}]}
`

const split = `
---
kind: HTTPRoute
metadata: {namespace: shop, name: split}
spec:
  parentRefs: [{group: "", kind: Service, name: cart}]
  rules: [{backendRefs: [{name: cart, port: 80, weight: 9}, {name: canary, port: 80}]}]
`

// TestGatewayTouchesNothingElse: without routes the configuration is the very
// same, and with them so are all ports that they are not for.
func TestGatewayTouchesNothingElse(t *testing.T) {
	c, problems := Load([]byte(shopFile), "attache-control.yaml")
	if c == nil {
		t.Fatal(problems)
	}
	all := func(string) bool { return true }
	none, _ := gateway.Judge(readObjects(t, shopObjects))
	if c.WithRoutes(none, all) != c || c.WithRoutes(nil, all) != c {
		t.Error("another configuration, without routes")
	}
	table, _ := gateway.Judge(readObjects(t, shopObjects+split))
	with := c.WithRoutes(table, all)
	if with == c || with.Ambassadors[0].Ports[0] == c.Ambassadors[0].Ports[0] || with.Ambassadors[0].Ports[1] != c.Ambassadors[0].Ports[1] || with.Ambassadors[0].Ports[2] != c.Ambassadors[0].Ports[2] {
		t.Error("wrong ports are others")
	}
	if other := c.WithRoutes(table, func(string) bool { return false }); other.Ambassadors[0] != c.Ambassadors[0] {
		t.Error("a source of another cluster has routes")
	}
	node := &corev3.Node{UserAgentName: "attache", Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{"namespace": structpb.NewStringValue("shop")}}}
	before, _ := c.Select(node, true)
	after, _ := with.Select(node, true)
	if before.String() != after.String() {
		t.Errorf("group %s, before %s", after, before)
	}
	was, is := buildWithout(c, before), buildWithout(with, after)
	for _, typeURL := range was.Types() {
		for _, name := range was.Names(typeURL) {
			same := was.Resource(typeURL, name).Version == is.Resource(typeURL, name).Version
			if want := typeURL != resource.RouteType || name != "cart"; same != want {
				t.Errorf("%s %s: same %v", typeURL, name, same)
			}
		}
	}
	if len(with.Uses()) != len(c.Uses())+1 {
		t.Errorf("%d uses, before %d", len(with.Uses()), len(c.Uses()))
	}
}

const richRoute = `{"parentRefs": [{"group": "", "kind": "Service", "name": "cart"}], "hostnames": ["h"], "rules": [
{"name": "n", "matches": [{"path": {"type": "PathPrefix", "value": "/a"}, "headers": [{"name": "h", "value": "v"}], "queryParams": [{"name": "q", "type": "RegularExpression", "value": "v+"}], "method": "GET"}],
 "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}], "add": [{"name": "b", "value": "c"}], "remove": ["c"]}},
  {"type": "URLRewrite", "urlRewrite": {"hostname": "h", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/b"}}},
  {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "canary", "port": 80}, "fraction": {"numerator": 1, "denominator": 3}}},
  {"type": "CORS", "cors": {"allowOrigins": ["https://*.a"], "allowMethods": ["GET"], "allowHeaders": ["a"], "exposeHeaders": ["b"], "maxAge": 1}}],
 "backendRefs": [{"name": "canary", "port": 80, "weight": 3, "filters": [{"type": "URLRewrite", "urlRewrite": {"hostname": "h"}}]}, {"name": "cart", "port": 80}],
 "timeouts": {"request": "2s", "backendRequest": "1s"}, "retry": {"codes": [500], "attempts": 2, "backoff": "1s"}},
{"filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "hostname": "h", "port": 1, "statusCode": 301, "path": {"type": "ReplaceFullPath", "replaceFullPath": "/x"}}}]}]}`

// mutants calls with for v with each part of it replaced by each of some values,
// and left out.
func mutants(v any, with func()) {
	values := []any{nil, true, float64(-1), "", "(", "*", []any{}, map[string]any{}}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			was := v[key]
			for _, x := range values {
				v[key] = x
				with()
			}
			delete(v, key)
			with()
			v[key] = was
			mutants(was, with)
		}
	case []any:
		for i, was := range v {
			for _, x := range values {
				v[i] = x
				with()
			}
			v[i] = was
			mutants(was, with)
		}
	}
}

// TestGatewaySendsNothingRefused: whatever stands in a route, attache takes what
// is made of it.
func TestGatewaySendsNothingRefused(t *testing.T) {
	c, problems := Load([]byte(shopFile), "attache-control.yaml")
	if c == nil {
		t.Fatal(problems)
	}
	_, world := readObjects(t, shopObjects)
	var spec any
	if err := json.Unmarshal([]byte(richRoute), &spec); err != nil {
		t.Fatal(err)
	}
	tried, served := 0, 0
	try := func() {
		text, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		tried++
		for _, kind := range []gateway.Kind{gateway.HTTPRoute, gateway.GRPCRoute} {
			table, verdicts := gateway.Judge([]*gateway.Parsed{gateway.Parse(gateway.Object{Kind: kind, Namespace: "shop", Name: "r", Spec: text})}, world)
			for _, v := range verdicts {
				for _, p := range v.Parents {
					if len(p.Conditions) < 2 {
						t.Errorf("%s: %+v", text, p)
					}
				}
			}
			with := c.WithRoutes(table, func(string) bool { return true })
			if with == c {
				continue
			}
			served++
			for _, client := range []string{"attache"} {
				g, _ := with.Select(&corev3.Node{UserAgentName: client}, true)
				b := buildWithout(with, g)
				if takenByAttache(t, b); t.Failed() {
					t.Fatalf("of %s", text)
				}
			}
		}
	}
	try()
	if mutants(spec, try); tried < 500 || served < 200 {
		t.Errorf("%d of %d are served", served, tried)
	}
	t.Logf("%d of %d are served", served, tried)
}
