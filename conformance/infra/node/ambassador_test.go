//go:build infra

package node

import (
	"encoding/json"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

// ambassador has an application served by what its namespace says, and its status
// follow the pod.
func (x *town) ambassador() {
	all := x.k.Client.Discovery().RESTClient()
	path := "/apis/attache.dev/v1alpha1/namespaces/" + till + "/ambassadors"
	x.must(all.Post().AbsPath(path).SetHeader("Content-Type", "application/yaml").Body([]byte(`
apiVersion: attache.dev/v1alpha1
kind: Ambassador
metadata: {name: counter}
spec:
  podSelector: {matchLabels: {name: counter}}
  ports:` + strings.ReplaceAll(served, "\n  ", "\n"))).Do(x.Context()).Error())
	type status struct {
		Conditions []metav1.Condition
		Sidecars   struct{ Connected, Synced, Refused int }
	}
	becomes := func(what string, is func(status, map[string]bool) bool) {
		x.Helper()
		took := real.Until(x, 45*time.Second, what, func() bool {
			var o struct{ Status status }
			text, err := all.Get().AbsPath(path + "/counter").Do(x.Context()).Raw()
			if err != nil || json.Unmarshal(text, &o) != nil {
				return false
			}
			so := map[string]bool{}
			for _, c := range o.Status.Conditions {
				so[c.Type] = c.Status == metav1.ConditionTrue
			}
			return is(o.Status, so)
		})
		x.Logf("%s: after %v", what, took.Round(time.Millisecond))
	}
	becomes("accepted", func(_ status, so map[string]bool) bool { return so["Accepted"] })
	pod := x.application("counter")
	becomes("one sidecar has it", func(s status, so map[string]bool) bool {
		return so["Programmed"] && s.Sidecars.Connected == 1 && s.Sidecars.Synced == 1 && s.Sidecars.Refused == 0
	})
	if said := x.end(pod); said.Failed > 0 || said.Cache == 0 || !said.LastServed {
		x.Errorf("by an Ambassador: %v", said)
	}
	becomes("its sidecar has gone", func(s status, _ map[string]bool) bool { return s.Sidecars.Connected == 0 })
	x.must(all.Delete().AbsPath(path + "/counter").Do(x.Context()).Error())
}
