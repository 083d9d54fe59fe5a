//go:build infra

package infra

// discovery/kube on a real API server: what it sees of pods that come, end, and
// come again, and what it holds on to while the API server is away.

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/attache-mesh/attache/conformance/infra/real"
	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/discovery/kube"
)

func kubeSource(t *testing.T, k *real.Kube) *kube.Source {
	t.Helper()
	s, err := kube.New(kube.Config{Kubeconfig: k.Kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// names are the pods' names.
func names(pods []real.Pod) (all []string) {
	for _, p := range pods {
		all = append(all, p.Name)
	}
	return all
}

// TestKubeSource is one test, for a control plane takes ten seconds to start.
func TestKubeSource(t *testing.T) {
	k := real.StartKube(t)
	source := kubeSource(t, k)
	k.Service("cache", cachePort, true)
	k.StatefulSet("cache", 3)
	f := follow(t, source, "k8s://default/cache:main")
	pods := k.ReadyPods("cache", 3)
	k.Endpoints("cache", 3)
	f.has(soon, names(pods)...)

	t.Run("a replaced pod keeps its name and drains first", func(t *testing.T) {
		old := pods[1]
		k.DeletePod(old.Name)
		f.until(soon, "cache-1 drains", func(s discovery.State) bool {
			return slices.Contains(withHealth(s, discovery.Draining), old.Name) && !slices.Contains(withHealth(s, discovery.Healthy), old.Name)
		})
		real.Until(t, 20*time.Second, "another cache-1", func() bool {
			now := k.ReadyPods("cache", 3)
			return now[1].UID != old.UID
		})
		k.Endpoints("cache", 3)
		f.has(soon, "cache-0", "cache-1", "cache-2")
	})
	t.Run("one more", func(t *testing.T) {
		k.Scale("cache", 4)
		pods := k.ReadyPods("cache", 4)
		k.Endpoints("cache", 4)
		f.has(soon, names(pods)...)
	})
	t.Run("zones", func(t *testing.T) {
		for _, i := range f.now().Set.Instances {
			if i.Zone != "z-n1" && i.Zone != "z-n2" {
				t.Errorf("%s: zone %q", i.ID, i.Zone)
			}
		}
	})
	t.Run("an Event tells of what a sidecar refuses", func(t *testing.T) { refusalIsAnEvent(t, k) })
	t.Run("the API server is killed", func(t *testing.T) {
		away := time.Now()
		k.RestartAPIServer(func() {
			f.until(10*time.Second, "failed, and held", func(s discovery.State) bool { return s.Kind == discovery.Failed })
		})
		k.Scale("cache", 5)
		pods := k.ReadyPods("cache", 5)
		k.Endpoints("cache", 5)
		f.has(30*time.Second, names(pods)...)
		f.everHad(away, "cache-0", "cache-1", "cache-2", "cache-3")
	})
	t.Run("none is left", func(t *testing.T) {
		k.Scale("cache", 0)
		k.Endpoints("cache", 0)
		f.until(soon, "no pods, and held", func(s discovery.State) bool {
			return s.Kind == discovery.HeldEmpty && s.Set != nil && len(s.Set.Instances) > 0
		})
	})
}

// refusalIsAnEvent: a client refuses the listener of a port; the Service behind
// it has an Event that names listener, client and reason.
func refusalIsAnEvent(t *testing.T, k *real.Kube) {
	ports := real.Ports(t, 2)
	xds, status := fmt.Sprint("127.0.0.1:", ports[0]), fmt.Sprint("127.0.0.1:", ports[1])
	path := filepath.Join(t.TempDir(), "control.yaml")
	text := fmt.Sprintf(`
server: {address: "%s"}
sources: {k8s: {kind: kubernetes, kubeconfig: %s}}
ambassadors:
- {name: tests, clients: [envoy], ports: [{name: front, port: 1, protocol: tcp, service: "k8s://default/cache:main"}]}
`, xds, k.Kubeconfig)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	control := real.Start(t, "attache-control", program(t, "attache-control"), "-c", path, "--status-address", status)
	c := &chain{T: t, status: status}
	control.Ready(20*time.Second, func() bool { return c.page("/ready") != "" })
	subscribe(t, xds, resource.ListenerType, "front: address: taken by a test", "*")
	var events []corev1.Event
	real.Until(t, 20*time.Second, "there is an Event", func() bool {
		list, err := k.Client.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "reason=ResourceRefused"})
		if err == nil {
			events = list.Items
		}
		return len(events) > 0
	})
	e := events[0]
	t.Logf("%s on %s %s: %s", e.Type, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Message)
	if e.Type != "Warning" || e.InvolvedObject.Kind != "Service" || e.InvolvedObject.Name != "cache" ||
		!strings.Contains(e.Message, "Listener front") || !strings.Contains(e.Message, "sidecar e1") || !strings.Contains(e.Message, "address: taken by a test") {
		t.Errorf("%+v", e)
	}
}
