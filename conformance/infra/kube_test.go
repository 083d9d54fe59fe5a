//go:build infra

package infra

// discovery/kube on a real API server: what it sees of pods that come, end, and
// come again, and what it holds on to while the API server is away.

import (
	"slices"
	"testing"
	"time"

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
		f.has(soon, "cache-0", "cache-1", "cache-2")
	})
	t.Run("one more", func(t *testing.T) {
		k.Scale("cache", 4)
		f.has(soon, names(k.ReadyPods("cache", 4))...)
	})
	t.Run("zones", func(t *testing.T) {
		for _, i := range f.now().Set.Instances {
			if i.Zone != "z-n1" && i.Zone != "z-n2" {
				t.Errorf("%s: zone %q", i.ID, i.Zone)
			}
		}
	})
	t.Run("the API server is killed", func(t *testing.T) {
		away := time.Now()
		k.RestartAPIServer(func() {
			f.until(10*time.Second, "failed, and held", func(s discovery.State) bool { return s.Kind == discovery.Failed })
		})
		k.Scale("cache", 5)
		f.has(30*time.Second, names(k.ReadyPods("cache", 5))...)
		f.everHad(away, "cache-0", "cache-1", "cache-2", "cache-3")
	})
	t.Run("none is left", func(t *testing.T) {
		k.Scale("cache", 0)
		f.until(20*time.Second, "no pods, and held", func(s discovery.State) bool {
			return s.Kind == discovery.HeldEmpty && s.Set != nil && len(s.Set.Instances) > 0
		})
	})
}
