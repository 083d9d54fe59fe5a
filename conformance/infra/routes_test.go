//go:build infra

package infra

// Routes of the Gateway API on a real API server with its own definitions: they
// come after the control plane, which has the rights of the release's service
// account and nothing else; a real sidecar's requests follow them, and their
// status says how they fare.

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/attache-mesh/attache/conformance/infra/real"
	"github.com/attache-mesh/attache/xds/server/gateway"
)

const splitRoute = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: split}
spec:
  parentRefs: [{group: "", kind: Service, name: cart}]
  rules:
  - backendRefs: [{name: cart, port: 80, weight: 90}, {name: cart-v2, port: 80, weight: 10}]
  - matches: [{headers: [{name: x-canary, value: "yes"}]}]
    backendRefs: [{name: cart-v2, port: 80}]
`

const consumerRoute = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ours}
spec:
  parentRefs: [{group: "", kind: Service, name: cart, namespace: stage}]
  rules: [{backendRefs: [{name: cart-v2, namespace: stage, port: 80}]}]
`

const consumerGrant = `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: default}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}]
  to: [{group: "", kind: Service}]
`

// shop is a Service "cart" and another, "cart-v2", in a namespace of their own,
// a sidecar in the namespace default that uses the first, and who writes routes.
type shop struct {
	t      *testing.T
	client dynamic.Interface
	url    string
}

func chartRoutes(t *testing.T, k *real.Kube, ns string) {
	s := startShop(t, k, ns)
	s.until("no route is defined", func() bool { return s.share("", 20) == 0 })
	s.define()
	routes := s.of("httproutes", "stage")
	s.create(routes, splitRoute)
	s.told(routes, "split", "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs")
	s.until("a header asks for the canary", func() bool { return s.share("yes", 20) == 1 })
	if share := s.share("", 2000); share < 0.06 || share > 0.14 { // 6 standard deviations
		t.Errorf("%.3f of the requests reached the canary, want 0.1", share)
	} else {
		t.Logf("%.3f of 2000 requests reached the canary of weight 10 in 100", share)
	}
	s.refused(routes)
	s.consumer()
	if err := routes.Delete(t.Context(), "split", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.until("without the route all is as before", func() bool { return s.share("yes", 50) == 0 })
}

// refused: what the API server takes and attache does not is said, by its field,
// and the rest is served.
func (s *shop) refused(routes dynamic.ResourceInterface) {
	s.t.Helper()
	s.create(routes, strings.NewReplacer("name: split", "name: odd", "x-canary", "x-odd").Replace(splitRoute)+"    sessionPersistence: {sessionName: s}\n")
	s.told(routes, "odd", "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs PartiallyInvalid=True/UnsupportedValue")
	o, err := routes.Get(s.t.Context(), "odd", metav1.GetOptions{})
	if text, _ := json.Marshal(o); err != nil || !strings.Contains(string(text), "Dropped Rule(s) 1 (spec.rules[1].sessionPersistence: not supported") {
		s.t.Errorf("%v %s", err, text)
	}
	if err := routes.Delete(s.t.Context(), "odd", metav1.DeleteOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// consumer: a route of the sidecar's own namespace goes before the Service's, and
// may send elsewhere only as far as that namespace grants.
func (s *shop) consumer() {
	s.t.Helper()
	routes := s.of("httproutes", "default")
	s.create(routes, consumerRoute)
	s.told(routes, "ours", "Accepted=True/Accepted ResolvedRefs=False/RefNotPermitted")
	s.until("what is not granted is answered 500", func() bool { _, status := s.get(""); return status == 500 })
	s.create(s.of("referencegrants", "stage"), consumerGrant)
	s.told(routes, "ours", "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs")
	s.until("all goes to the canary", func() bool { return s.share("", 50) == 1 })
	if err := routes.Delete(s.t.Context(), "ours", metav1.DeleteOptions{}); err != nil {
		s.t.Fatal(err)
	}
	s.until("the Service's own route again", func() bool { return s.share("", 50) < 0.9 && s.share("yes", 20) == 1 })
}

func startShop(t *testing.T, k *real.Kube, ns string) *shop {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", k.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{t: t}
	if s.client, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "stage"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.service(k, "cart", "10.244.250.1")
	s.service(k, "cart-v2", "10.244.250.2")
	dir := t.TempDir()
	account, file := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "control.yaml")
	asToken(t, k.Kubeconfig, tokenOf(t, k, ns, "attache"), account)
	ports := real.Ports(t, 4)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	if err := os.WriteFile(file, fmt.Appendf(nil, `
sources: {k8s: {kind: kubernetes, kubeconfig: %q}}
ambassadors:
- name: web
  ports: [{name: cart, port: %d, protocol: http, service: "k8s://stage/cart:http"}]
`, account, ports[2]), 0o600); err != nil {
		t.Fatal(err)
	}
	p := real.Start(t, "attache-control", real.Program(t, "./cmd/attache-control"), "-c", file,
		"--listen="+at(0), "--status-address="+at(1), "--gateway-routes=all", "--kubeconfig="+account)
	p.Ready(30*time.Second, func() bool { _, err := get(http.DefaultClient, "http://"+at(1)+"/ready"); return err == nil })
	launchPod(t, at(0), ports[3])
	s.url = "http://" + at(2) + "/"
	return s
}

// service is a Service with one instance, which answers its name.
func (s *shop) service(k *real.Kube, name, address string) {
	s.t.Helper()
	ctx := s.t.Context()
	port, portName, ready := int32(8080), "http", true
	_, err := k.Client.CoreV1().Services("stage").Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: portName, Port: 80}}},
	}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = k.Client.DiscoveryV1().EndpointSlices("stage").Create(ctx, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		Ports:       []discoveryv1.EndpointPort{{Name: &portName, Port: &port}},
	}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, port))
	if err != nil {
		s.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })}
	go func() { _ = server.Serve(l) }()
	s.t.Cleanup(func() { _ = server.Close() })
}

// define gives the cluster the Gateway API, and compares what may be said there
// with what is known of it here: no field is passed over.
func (s *shop) define() {
	s.t.Helper()
	text, err := os.ReadFile(real.Binary(s.t, "gateway-api.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	definitions := s.client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	for _, doc := range strings.Split(string(text), "\n---\n") {
		var o unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(doc), &o.Object); err != nil {
			s.t.Fatal(err)
		}
		if len(o.Object) == 0 {
			continue
		}
		s.t.Logf("%s", o.GetName())
		s.fields(&o)
		if _, err := definitions.Create(s.t.Context(), &o, metav1.CreateOptions{}); err != nil {
			s.t.Fatal(err)
		}
	}
	s.until("the kinds are served", func() bool {
		_, err := s.of("httproutes", "stage").List(s.t.Context(), metav1.ListOptions{})
		return err == nil
	})
}

// fields compares a definition's fields of spec with those that are known.
func (s *shop) fields(o *unstructured.Unstructured) {
	kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
	known := map[string]bool{}
	for _, f := range gateway.Fields(gateway.Kind(kind)) {
		known[f.Path] = true
	}
	if len(known) == 0 {
		return // ReferenceGrant
	}
	versions, _, _ := unstructured.NestedSlice(o.Object, "spec", "versions")
	properties, _, _ := unstructured.NestedMap(versions[0].(map[string]any), "schema", "openAPIV3Schema", "properties", "spec", "properties")
	var walk func(path string, properties map[string]any)
	walk = func(path string, properties map[string]any) {
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			at := path + "." + name
			if !known[at] {
				s.t.Errorf("%s: %s is a field of the definition, and not known", kind, at)
				continue
			}
			property := properties[name].(map[string]any)
			if items, ok := property["items"].(map[string]any); ok {
				property, at = items, at+"[]"
			}
			if inner, ok := property["properties"].(map[string]any); ok && !gateway.Refused(gateway.Kind(kind), strings.TrimSuffix(at, "[]")) {
				walk(at, inner)
			}
		}
	}
	walk("spec", properties)
}

func (s *shop) of(plural, namespace string) dynamic.ResourceInterface {
	version := "v1"
	if plural == "referencegrants" {
		version = "v1beta1"
	}
	return s.client.Resource(schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: version, Resource: plural}).Namespace(namespace)
}

func (s *shop) create(in dynamic.ResourceInterface, text string) {
	s.t.Helper()
	if _, err := apply(s.t.Context(), in, text); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) until(what string, is func() bool) {
	s.t.Helper()
	real.Until(s.t, 60*time.Second, what, is)
}

// told waits for what the only entry of a route's status says.
func (s *shop) told(in dynamic.ResourceInterface, name, want string) {
	s.t.Helper()
	s.until(name+" is told "+want, func() bool {
		o, err := in.Get(s.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return false
		}
		var status struct {
			Parents []struct {
				ControllerName string
				Conditions     []metav1.Condition
			}
		}
		text, _ := json.Marshal(o.Object["status"])
		if json.Unmarshal(text, &status) != nil || len(status.Parents) != 1 || status.Parents[0].ControllerName != "attache.dev/control" {
			return false
		}
		var said []string
		for _, c := range status.Parents[0].Conditions {
			if c.ObservedGeneration != o.GetGeneration() {
				return false
			}
			said = append(said, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
		}
		return strings.Join(said, " ") == want
	})
}

// get asks the sidecar once.
func (s *shop) get(canary string) (answer string, status int) {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if canary != "" {
		req.Header.Set("x-canary", canary)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", 0
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return string(text), resp.StatusCode
}

// share is the part of n requests that cart-v2 answers; negative if not all are
// answered.
func (s *shop) share(canary string, n int) float64 {
	hits := 0
	for range n {
		answer, status := s.get(canary)
		if status != http.StatusOK {
			return -1
		}
		if answer == "cart-v2" {
			hits++
		}
	}
	return float64(hits) / float64(n)
}
