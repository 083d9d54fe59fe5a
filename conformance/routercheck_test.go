package conformance

// Do requests go where Envoy sends them? Envoy's own router check vectors, through decoding and the compiled table.

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/route"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/xds/envoyv3"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

const vectors = "testdata/router-check"

// mustFail is the tool's test of its own complaints: its header expectations do not hold, and a check that finds
// nothing wrong with them finds nothing.
const mustFail = "TestRoutesFailures"

// vector is the tool's schema (envoy.RouterCheckToolSchema.ValidationItem) as far as the vectors use it.
type vector struct {
	Name  string `yaml:"test_name"`
	Input struct {
		Authority, Path, Method string
		SSL, Internal           bool
		Random                  uint64 `yaml:"random_value"`
		Runtime                 string
		Headers                 []struct{ Key, Value string } `yaml:"additional_request_headers"`
		Metadata                []struct {
			Namespace string `yaml:"metadata_namespace"`
			Value     map[string]any
			Overwrite bool `yaml:"allow_overwrite"`
		} `yaml:"dynamic_metadata"`
	}
	Validate map[string]yaml.Node
}

// headerMatch is route.v3.HeaderMatcher as far as the vectors use it.
type headerMatch struct {
	Name         string
	StringMatch  *struct{ Exact string }     `yaml:"string_match"`
	RangeMatch   *struct{ Start, End int64 } `yaml:"range_match"`
	PresentMatch *bool                       `yaml:"present_match"`
	InvertMatch  bool                        `yaml:"invert_match"`
}

func TestRouterCheck(t *testing.T) {
	goldens, err := filepath.Glob(filepath.Join(vectors, "*.golden.proto.json"))
	if err != nil || len(goldens) != 15 {
		t.Fatalf("%d files of vectors in %s, want 15: %v", len(goldens), vectors, err)
	}
	compared := 0
	for _, golden := range goldens {
		name := strings.TrimSuffix(filepath.Base(golden), ".golden.proto.json")
		t.Run(name, func(t *testing.T) {
			c := &routerCheck{T: t, name: name}
			c.run(golden)
			compared += c.compared
		})
	}
	if compared != 247 {
		t.Errorf("%d values were compared, want 247", compared)
	}
}

// routerCheck is one table with its vectors.
type routerCheck struct {
	*testing.T
	name     string
	table    string
	compared int
}

func (c *routerCheck) run(golden string) {
	text, err := os.ReadFile(golden)
	if err != nil {
		c.Fatal(err)
	}
	var all struct{ Tests []vector }
	if err := yaml.Unmarshal(text, &all); err != nil || len(all.Tests) == 0 {
		c.Fatalf("%d vectors: %v", len(all.Tests), err)
	}
	c.table = strings.TrimSuffix(c.name, "Failures")
	m := c.read()
	c.taken(m)
	for i := range all.Tests {
		c.check(m, &all.Tests[i])
	}
}

func (c *routerCheck) read() *routev3.RouteConfiguration {
	text, err := os.ReadFile(filepath.Join(vectors, c.table+".yaml"))
	if err != nil {
		c.Fatal(err)
	}
	m := &routev3.RouteConfiguration{}
	for _, p := range load.Into(text, c.table+".yaml", m, protoregistry.GlobalTypes, load.Options{}) {
		c.Fatalf("%s.yaml: %v", c.table, p)
	}
	return m
}

// taken demands that nothing of a table is refused.
func (c *routerCheck) taken(m *routev3.RouteConfiguration) {
	_, problems := envoyv3.RouteTable("", m, envoyv3.Options{})
	for _, p := range problems {
		c.Errorf("%v", p)
	}
}

// check sends the vector's request down the table.
func (c *routerCheck) check(m *routev3.RouteConfiguration, v *vector) {
	m, options := inRuntime(m, v.Input.Runtime)
	decoded, problems := envoyv3.RouteTable("", m, options)
	if len(problems) > 0 {
		c.Fatalf("%s: %v", v.Name, problems)
	}
	table, err := route.Compile(decoded, func(name string) (string, bool) { return name, true })
	if err != nil {
		c.Fatal(err)
	}
	got := follow(table, v)
	for name, want := range v.Validate {
		switch name {
		case "request_header_matches":
			c.headers(v, &want, got.request)
		case "response_header_matches":
			c.headers(v, &want, got.response)
		default:
			have, known := got.values[name]
			if !known {
				c.Fatalf("%s: no such value: %s", v.Name, name)
			}
			c.compared++
			if have != want.Value {
				c.Errorf("%s: %s %s: %s is %q, want %q", v.Name, v.Input.Method, v.Input.Path, name, have, want.Value)
			}
		}
	}
}

func (c *routerCheck) headers(v *vector, want *yaml.Node, got headers) {
	var all []headerMatch
	if err := want.Decode(&all); err != nil {
		c.Fatal(err)
	}
	for _, h := range all {
		c.compared++
		if holds := h.holds(got); holds == (c.name == mustFail) {
			c.Errorf("%s: header expectation %+v holds: %v, in %v", v.Name, h, holds, got)
		}
	}
}

func (h *headerMatch) holds(got headers) bool {
	values, present := got[strings.ToLower(h.Name)]
	joined := strings.Join(values, ",")
	switch {
	case h.StringMatch != nil:
		return (present && joined == h.StringMatch.Exact) != h.InvertMatch
	case h.RangeMatch != nil:
		n, err := strconv.ParseInt(joined, 10, 64)
		return (err == nil && h.RangeMatch.Start <= n && n < h.RangeMatch.End) != h.InvertMatch
	default:
		return (present == (h.PresentMatch == nil || *h.PresentMatch)) != h.InvertMatch
	}
}

// outcome is what became of a vector's request, in the tool's names.
type outcome struct {
	values            map[string]string
	request, response headers
	info              streaminfo.Info
}

// valueOf is JSON as config has it.
func valueOf(v any) config.Value {
	switch v := v.(type) {
	case string:
		return config.Value{Kind: config.ValueText, Text: v}
	case bool:
		return config.Value{Kind: config.ValueBool, Bool: v}
	case int:
		return config.Value{Kind: config.ValueNumber, Number: float64(v)}
	case float64:
		return config.Value{Kind: config.ValueNumber, Number: v}
	case map[string]any:
		s := config.Value{Kind: config.ValueStruct, Fields: map[string]config.Value{}}
		for key, one := range v {
			s.Fields[key] = valueOf(one)
		}
		return s
	}
	return config.Value{}
}

// follow does with the table what the HTTP room does.
func follow(table *route.Table[string], v *vector) outcome {
	in := &v.Input
	scheme := "http"
	if in.SSL {
		scheme = "https"
	}
	req := &route.Request{
		Method: []byte(in.Method), Host: []byte(in.Authority), Path: []byte(in.Path),
		Scheme: []byte(scheme), ForwardedProto: []byte(scheme), Internal: in.Internal,
	}
	o := outcome{values: map[string]string{}, request: headers{}, response: headers{}}
	// The tool's client is 127.0.0.1 (router_check.cc).
	o.info.Remote = netip.MustParseAddrPort("127.0.0.1:0")
	for _, m := range in.Metadata {
		if _, there := o.info.Metadata.All()[m.Namespace]; !there || m.Overwrite {
			o.info.Metadata.Set(m.Namespace, valueOf(m.Value).Fields)
		}
	}
	req.Info = &o.info
	for _, h := range in.Headers {
		req.Headers = append(req.Headers, route.Header{Name: []byte(h.Key), Value: []byte(h.Value)})
		o.request.Add(strings.ToLower(h.Key), h.Value)
	}
	for _, name := range []string{"cluster_name", "virtual_host_name", "virtual_cluster_name", "path_rewrite", "host_rewrite", "path_redirect"} {
		o.values[name] = ""
	}
	o.values["code_redirect"] = "0"
	r := table.Match(req, in.Random)
	switch {
	case r == nil:
	case r.Kind == route.Forward:
		o.values["virtual_cluster_name"] = virtualCluster(r, req)
		o.forward(r, req, in.Random)
	default:
		o.values["path_redirect"], o.values["code_redirect"] = string(r.AppendLocation(nil, req)), strconv.Itoa(r.Status)
		if r.Body != "" {
			o.response.Set("content-type", "text/plain")
			o.response.Set("content-length", strconv.Itoa(len(r.Body)))
		}
		route.Apply(r.ResponseOps, o.response, o.eval(req))
	}
	return o
}

// virtualCluster is the tool's name of it: what belongs to none of a host's is "other".
func virtualCluster(r *route.Route[string], req *route.Request) string {
	if name, _ := r.VirtualCluster(req); name != "" || len(r.Host.VirtualClusters) == 0 {
		return name
	}
	return "other"
}

func (o *outcome) forward(r *route.Route[string], req *route.Request, random uint64) {
	cluster, target, _ := r.Cluster(req, random, nil)
	route.Apply(target.RequestOps, o.request, o.eval(req))
	host := cmp.Or(target.HostRewrite, string(req.Host))
	if rewritten, ok := r.AppendHost(nil, req); ok {
		host = string(rewritten)
	}
	path := string(req.Path)
	if rewritten, ok := r.AppendPath(nil, req.Path); ok {
		path = string(rewritten)
	}
	o.request.Set(":authority", host)
	o.request.Set(":path", path)
	o.request.Set(":method", string(req.Method))
	o.values["cluster_name"], o.values["virtual_host_name"] = cluster, r.VirtualHost
	o.values["path_rewrite"], o.values["host_rewrite"] = path, host
}

// eval is what formats see.
func (o *outcome) eval(req *route.Request) *route.Eval {
	return &route.Eval{View: &streaminfo.View{Request: req, Info: &o.info}}
}

// headers is a message's header, as route.Apply wants it.
type headers map[string][]string

func (h headers) Has(name string) bool   { return len(h[name]) > 0 }
func (h headers) Remove(name string)     { delete(h, name) }
func (h headers) Set(name, value string) { h[name] = []string{value} }
func (h headers) Add(name, value string) { h[name] = append(h[name], value) }
func (h headers) String() string         { return fmt.Sprint(map[string][]string(h)) }

// inRuntime is the table in the tool's runtime: a fraction can hold only if the vector names its key; then it is the
// table's own, and the random number 0 is always within (Test_4 of Runtime).
func inRuntime(table *routev3.RouteConfiguration, active string) (*routev3.RouteConfiguration, envoyv3.Options) {
	m, values := proto.CloneOf(table), envoyv3.Runtime{}
	for _, host := range m.VirtualHosts {
		for _, r := range host.Routes {
			switch fraction := r.GetMatch().GetRuntimeFraction(); {
			case fraction == nil:
			case fraction.RuntimeKey != active:
				values[fraction.RuntimeKey] = structpb.NewNumberValue(0)
			default:
				fraction.DefaultValue.Numerator = max(1, fraction.DefaultValue.Numerator)
			}
		}
	}
	return m, envoyv3.Options{Runtime: values}
}
