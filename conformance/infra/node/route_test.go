//go:build infra

package node

import (
	"encoding/json"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

// route has an HTTPRoute take effect in the sidecar of an application that goes on.
func (x *town) route(name string) {
	api := x.k.Client.Discovery().RESTClient()
	post := func(path, text string) error {
		return api.Post().AbsPath(path).SetHeader("Content-Type", "application/yaml").Body([]byte(text)).Do(x.Context()).Error()
	}
	definitions, err := os.ReadFile(real.Binary(x, "gateway-api.yaml"))
	x.must(err)
	for doc := range strings.SplitSeq(string(definitions), "\n---\n") {
		if strings.TrimSpace(doc) != "" {
			x.must(post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", doc))
		}
	}
	const routes = "/apis/gateway.networking.k8s.io/v1/namespaces/" + shop + "/httproutes"
	before := x.saysOf(name)
	real.Until(x, time.Minute, "routes can be made", func() bool {
		return post(routes, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: marked}
spec:
  parentRefs: [{group: "", kind: Service, name: web}]
  rules:
  - filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-route, value: marked}]}}]
    backendRefs: [{name: web, port: 8080}]
`) == nil
	})
	took := real.Until(x, time.Minute, "the route is in the sidecar", func() bool { return x.saysOf(name).Route == "marked" })
	x.Logf("the route was in the sidecar after %v", took.Round(time.Millisecond))
	real.Until(x, 20*time.Second, "the route is accepted", func() bool {
		var o struct {
			Status struct {
				Parents []struct {
					ControllerName string
					Conditions     []metav1.Condition
				}
			}
		}
		text, err := api.Get().AbsPath(routes + "/marked").Do(x.Context()).Raw()
		if err != nil || json.Unmarshal(text, &o) != nil || len(o.Status.Parents) != 1 {
			return false
		}
		good := map[string]bool{}
		for _, c := range o.Status.Parents[0].Conditions {
			good[c.Type] = c.Status == metav1.ConditionTrue
		}
		return o.Status.Parents[0].ControllerName == "attache.dev/control" && good["Accepted"] && good["ResolvedRefs"]
	})
	x.must(api.Delete().AbsPath(routes + "/marked").Do(x.Context()).Error())
	real.Until(x, time.Minute, "the route has gone", func() bool { return x.saysOf(name).Route == "" })
	if after := x.saysOf(name); after.Failed > before.Failed {
		x.Errorf("a route that came and went lost requests: %v", after)
	}
}
