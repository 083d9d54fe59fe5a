package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/xds/server/gateway"
)

// routing is a cluster with Services and the Gateway API, and the program that
// follows them.
type routing struct {
	*plane
	cluster                *cluster
	services, http, grants *collection
}

const routingConfig = `
server: {address: "127.0.0.1:0", wait_for_sources: 100ms}
sources: {k8s: {kind: kubernetes, kubeconfig: %q}}
ambassadors:
- name: web
  ports: [{name: cart, port: 8080, protocol: http, service: "k8s://shop/cart:http"}]
`

func startRouting(t *testing.T) *routing {
	t.Helper()
	c := startCluster(t)
	r := &routing{
		plane: &plane{t: t, dir: t.TempDir(), log: &lockedBuffer{}}, cluster: c,
		services: c.has("/api/v1/services", "v1", "Service"),
		grants:   c.has("/apis/gateway.networking.k8s.io/v1beta1/referencegrants", "gateway.networking.k8s.io/v1beta1", "ReferenceGrant"),
	}
	for _, name := range []string{"cart", "canary"} {
		r.services.put("shop", name, "{type: ClusterIP, ports: [{name: http, port: 80, protocol: TCP}]}")
	}
	kubeconfig := c.kubeconfig()
	r.write("control.yaml", fmt.Sprintf(routingConfig, kubeconfig))
	r.run("--gateway-routes", "all", "--kubeconfig", kubeconfig)
	return r
}

func (r *routing) define() {
	r.http = r.cluster.has("/apis/gateway.networking.k8s.io/v1/httproutes", "gateway.networking.k8s.io/v1", "HTTPRoute")
}

const cartRoute = `
parentRefs: [{group: "", kind: Service, name: cart}]
rules: [{backendRefs: [{name: canary, port: 80}]}]
`

// parents are status.parents, shortened.
func (r *routing) parents(key string) (all []string) {
	c := r.http
	c.mu.Lock()
	defer c.mu.Unlock()
	var s struct{ Parents []routeParent }
	text, _ := json.Marshal(c.objects[key]["status"])
	_ = json.Unmarshal(text, &s)
	for _, p := range s.Parents {
		one := p.ControllerName
		for _, c := range p.Conditions {
			one += fmt.Sprintf(" %s=%s/%s@%d", c.Type, c.Status, c.Reason, c.ObservedGeneration)
		}
		all = append(all, one)
	}
	return all
}

func (r *routing) told(key, what string, want ...string) {
	r.t.Helper()
	r.until(what, func() bool { return strings.Join(r.parents(key), "\n") == strings.Join(want, "\n") })
}

// sends says where the sidecar's requests go.
func (s *sidecar) sends() string {
	r := s.has[resource.RouteType]["cart"]
	var table routev3.RouteConfiguration
	if r == nil || r.GetResource().UnmarshalTo(&table) != nil {
		return ""
	}
	var all []string
	for _, route := range table.VirtualHosts[0].Routes {
		all = append(all, route.GetRoute().GetCluster())
	}
	return strings.Join(all, " ")
}

func inNamespace(namespace string) *corev3.Node {
	m, _ := structpb.NewStruct(map[string]any{"namespace": namespace})
	return &corev3.Node{Id: "w." + namespace, Cluster: "web", Metadata: m, UserAgentName: "attache"}
}

const (
	good   = "attache.dev/control Accepted=True/Accepted@%d ResolvedRefs=True/ResolvedRefs@%d"
	canary = "cart/k8s://shop/canary:80"
)

// TestRoutes: the definitions come after the program; a route takes effect, is
// told so, is refused, is another's, goes.
func TestRoutes(t *testing.T) {
	r := startRouting(t)
	s := r.connect(inNamespace("shop"))
	s.hears("the file's route", func() bool { return s.sends() == "cart" })
	r.define()
	r.http.put("shop", "split", cartRoute)
	s.hears("the route", func() bool { return s.sends() == canary })
	r.told("shop/split", "it is told", fmt.Sprintf(good, 1, 1))

	r.http.change("shop/split", func() { // another controller writes, too
		o := r.http.objects["shop/split"]
		status := o["status"].(map[string]any)
		status["parents"] = append([]any{map[string]any{"controllerName": "other", "parentRef": map[string]any{"name": "gate"}}}, status["parents"].([]any)...)
	})
	r.http.put("shop", "split", strings.Replace(cartRoute, "canary", "gone", 1))
	s.hears("the part of it that can be served, which is nothing", func() bool { return s.sends() == "" })
	r.told("shop/split", "the backend is not there", "other", "attache.dev/control Accepted=True/Accepted@2 ResolvedRefs=False/BackendNotFound@2")
	r.services.put("shop", "gone", "{ports: [{port: 80}]}")
	s.hears("a backend that came", func() bool { return s.sends() == "cart/k8s://shop/gone:80" })

	r.http.put("shop", "split", strings.Replace(cartRoute, "[{backendRefs", "[{sessionPersistence: {}, backendRefs", 1))
	s.hears("what the file says", func() bool { return s.sends() == "cart" })
	r.told("shop/split", "it is refused", "other", "attache.dev/control Accepted=False/UnsupportedValue@3 ResolvedRefs=True/ResolvedRefs@3")
	if _, text := r.get("/metrics"); !strings.Contains(text, `attache_control_gateway_routes{kind="HTTPRoute",state="refused"} 1`) {
		t.Error("no metric of what is refused")
	}
	if st := r.json(); len(st.Routes) != 1 || st.Routes[0].Accepted || !strings.Contains(st.Routes[0].Problems[0], "spec.rules[0].sessionPersistence") {
		t.Errorf("%+v", st.Routes)
	}

	r.http.put("shop", "split", cartRoute)
	s.hears("the route again", func() bool { return s.sends() == canary })
	r.http.put("shop", "split", strings.Replace(cartRoute, "kind: Service", "kind: Gateway", 1))
	s.hears("what the file says again", func() bool { return s.sends() == "cart" })
	r.told("shop/split", "only the other's entry is left", "other")
	r.http.put("shop", "split", cartRoute)
	s.hears("the route once more", func() bool { return s.sends() == canary })
	writes := r.http.writes()
	r.http.remove("shop/split")
	s.hears("what the file says in the end", func() bool { return s.sends() == "cart" })
	if now := r.http.writes(); now > writes+1 {
		t.Errorf("%d writes about a route that is gone", now-writes)
	}
}

// TestConsumersRoutes: a route of another namespace is for the sidecars there, who
// move to a group of their own and back.
func TestConsumersRoutes(t *testing.T) {
	r := startRouting(t)
	r.define()
	shop, bank := r.connect(inNamespace("shop")), r.connect(inNamespace("bank"))
	route := strings.NewReplacer("name: cart", "name: cart, namespace: shop", "name: canary", "name: canary, namespace: shop").Replace(cartRoute)
	r.http.put("bank", "mine", route)
	r.told("bank/mine", "it needs a grant", "attache.dev/control Accepted=True/Accepted@1 ResolvedRefs=False/RefNotPermitted@1")
	r.grants.put("shop", "bank", `{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: bank}], to: [{group: "", kind: Service}]}`)
	bank.hears("the route", func() bool { return bank.sends() == canary })
	shop.hears("what the file says", func() bool { return shop.sends() == "cart" })
	r.told("bank/mine", "it has one", fmt.Sprintf(good, 1, 1))
	r.http.remove("bank/mine")
	bank.hears("what the file says", func() bool { return bank.sends() == "cart" })
}

// TestRouteStatus: others' entries stay as they are, a time is that of a change,
// and what would say the same is not written.
func TestRouteStatus(t *testing.T) {
	ref := map[string]any{"group": "", "kind": "Service", "name": "cart"}
	one := &judged{verdict: gateway.Verdict{Parents: []gateway.Parent{{Ref: ref, Conditions: []gateway.Said{{Type: "Accepted", Status: "True", Reason: "Accepted"}}}}}}
	one.object.Generation = 1
	one.object.Status = []byte(`{"parents": [{"controllerName": "other", "parentRef": {"name": "x"}, "extra": 1}]}`)
	first, differs := routeStatus(one, time.Unix(0, 0))
	text, _ := json.Marshal(map[string]any{"parents": first})
	if !differs || len(first) != 2 || !strings.Contains(string(text), `{"controllerName":"other","parentRef":{"name":"x"},"extra":1}`) {
		t.Error(string(text))
	}
	one.object.Status = text
	if _, differs := routeStatus(one, time.Unix(60, 0)); differs {
		t.Error("the same is another")
	}
	one.object.Generation = 2
	next, differs := routeStatus(one, time.Unix(60, 0))
	if got := next[1].(routeParent).Conditions[0]; !differs || got.LastTransitionTime != "1970-01-01T00:00:00Z" || got.ObservedGeneration != 2 {
		t.Errorf("%+v", got)
	}
	one.verdict.Parents[0].Conditions[0].Status = "False"
	next, _ = routeStatus(one, time.Unix(60, 0))
	if got := next[1].(routeParent).Conditions[0]; got.LastTransitionTime != "1970-01-01T00:01:00Z" {
		t.Errorf("%+v", got)
	}
	one.verdict.Parents = nil
	if next, differs := routeStatus(one, time.Unix(60, 0)); !differs || len(next) != 1 {
		t.Errorf("%v %v", next, differs)
	}
}
