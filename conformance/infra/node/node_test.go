//go:build infra

package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

// served is what the applications may reach. No request may fail for a busy machine's sake.
const served = `
    - {name: cache, port: 11211, protocol: memcached, service: "k8s://shop/memcached:main", timeouts: {request: 10s}}
    - {name: web, port: 8080, protocol: http, service: "k8s://shop/web:main", timeouts: {request: 10s}}
`

// TestNode is a release's life on a node, with applications that use it all the while.
func TestNode(t *testing.T) {
	k, err := real.StartNode(t, images(t)...)
	if err != nil {
		t.Logf("this machine allows no node: %v\nleft out: pods that really start, are updated, end and crash with their sidecar", err)
		return
	}
	x := &town{t, k}
	x.services()
	config := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(config, []byte(`
image: {tag: test}
injector: {image: {tag: test}}
config:
  ambassadors:
  - name: till
    sidecars: {cluster: till}
    ports:`+served), 0o600); err != nil {
		t.Fatal(err)
	}
	restricted := map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	x.namespace(release, restricted)
	x.namespace(till, restricted)
	x.helm("install", "attache", previous, "-f", config, "--wait", "--wait-for-jobs", "--timeout", "120s")

	app := x.application("first")
	said := x.says(app)
	t.Logf("an application of its first moment: %v", said)
	if said.Failed > 0 {
		t.Errorf("failed: %v", said)
	}
	t.Run("sharded", func(t *testing.T) { (&town{t, k}).sharded() })
	t.Run("endpoints", func(t *testing.T) { (&town{t, k}).endpoints() })
	t.Run("rolling", func(t *testing.T) { (&town{t, k}).rolling(app.Name) })
	t.Run("upgrade", func(t *testing.T) { (&town{t, k}).upgrade(app.Name, config) })
	t.Run("route", func(t *testing.T) { (&town{t, k}).route(app.Name) })
	t.Run("ambassador", func(t *testing.T) { (&town{t, k}).ambassador() })
	t.Run("jobs", func(t *testing.T) { (&town{t, k}).jobs() })
	t.Run("crash", func(t *testing.T) { (&town{t, k}).crash() })
	said = x.end(app)
	t.Logf("to its last: %v", said)
	if said.Failed > 0 || !said.LastServed {
		t.Errorf("a pod that was deleted under load: %v, its last request served: %v", said, said.LastServed)
	}
	t.Run("uninstall", func(t *testing.T) { (&town{t, k}).uninstall(config) })
	t.Run("firstkey", func(t *testing.T) { (&town{t, k}).firstKey() })
}

// sharded wants keys on every shard: the application knows one address.
func (x *town) sharded() {
	held := map[string]int{}
	pods := x.ready(shop, "memcached", 3)
	real.Until(x, 20*time.Second, "every shard holds keys", func() bool {
		for _, p := range pods {
			held[p.Name] = items(p.Status.PodIP)
		}
		return held["memcached-0"] > 0 && held["memcached-1"] > 0 && held["memcached-2"] > 0
	})
	x.Logf("keys by shard: %v", held)
}

// uninstall leaves the definition of Ambassadors, as the values say; with the values for
// production, a release that does not keep it leaves nothing.
func (x *town) uninstall(config string) {
	gone := func() {
		x.Helper()
		x.helm("uninstall", "attache", "--wait", "--timeout", "60s")
		real.Until(x, time.Minute, "the release's pods have gone", func() bool {
			list, err := x.k.Client.CoreV1().Pods(release).List(x.Context(), metav1.ListOptions{})
			return err == nil && len(list.Items) == 0
		})
	}
	gone()
	if left := x.k.LeftOf(release); len(left) != 1 || !strings.HasSuffix(left[0], "definitions") {
		x.Errorf("left behind: %v", left)
	}
	x.helm("install", "attache", chart, "-f", config, "-f", chart+"/values-ha.yaml", "--set", "crds.keep=false", "--wait", "--wait-for-jobs", "--timeout", "120s")
	real.Until(x, time.Minute, "three replicas are ready", func() bool {
		d, err := x.k.Client.AppsV1().Deployments(release).Get(x.Context(), "attache", metav1.GetOptions{})
		return err == nil && d.Status.ReadyReplicas == 3
	})
	gone()
	if left := x.k.LeftOf(release); len(left) > 0 {
		x.Errorf("left behind: %v", left)
	}
}

// endpoints adds a shard, which must be given keys by the sidecar that stands.
func (x *town) endpoints() {
	x.scale(4)
	pods := x.ready(shop, "memcached", 4)
	began := time.Now()
	real.Until(x, 20*time.Second, "the fourth shard holds keys", func() bool {
		for _, p := range pods {
			if p.Name == "memcached-3" {
				return items(p.Status.PodIP) > 0
			}
		}
		return false
	})
	x.Logf("a new shard held keys %v after it was ready", time.Since(began).Round(time.Millisecond))
	x.scale(3)
	x.ready(shop, "memcached", 3)
}

func (x *town) scale(n int32) {
	x.Helper()
	_, err := x.k.Client.AppsV1().StatefulSets(shop).Patch(x.Context(), "memcached", "application/merge-patch+json", fmt.Appendf(nil, `{"spec": {"replicas": %d}}`, n), metav1.PatchOptions{})
	x.must(err)
}

// rolling updates the shards and the web service under load.
func (x *town) rolling(name string) {
	for app, n := range map[string]int{"web": 2, "memcached": 3} {
		before := x.saysOf(name)
		x.restart(app, n)
		after := x.hasUsed(name)
		x.Logf("%s updated: %d requests meanwhile, %d failed", app, after.Cache+after.Web-before.Cache-before.Web, after.Failed-before.Failed)
		if after.Failed > before.Failed {
			x.Errorf("a rolling update of %s lost requests: %v", app, after)
		}
	}
}

// upgrade brings the release from the version before to this one, to the values for
// production, and back, under load.
func (x *town) upgrade(name, config string) {
	before := x.saysOf(name)
	x.helm("upgrade", "attache", chart, "-f", config, "--set", "gatewayRoutes.enabled=true", "--wait", "--timeout", "120s")
	x.helm("upgrade", "attache", chart, "-f", config, "-f", chart+"/values-ha.yaml", "--wait", "--timeout", "120s")
	x.helm("rollback", "attache", "2", "--wait", "--timeout", "120s")
	if after := x.saysOf(name); after.Failed > before.Failed {
		x.Errorf("an upgrade of the control plane lost requests: %v", after)
	}
}

// jobs runs Jobs, ATTACHE_JOBS of them, a few at a time.
func (x *town) jobs() {
	n, together := 3, 5
	if asked, err := strconv.Atoi(os.Getenv("ATTACHE_JOBS")); err == nil {
		n = asked
	}
	var slowest time.Duration
	for i := 0; i < n; i += together {
		upTo := min(i+together, n)
		for j := i; j < upTo; j++ {
			x.startJob(fmt.Sprint("job-", j))
		}
		for j := i; j < upTo; j++ {
			said, took := x.endOfJob(fmt.Sprint("job-", j))
			if said.Failed > 0 || said.Cache == 0 {
				x.Errorf("job %d: %v", j, said)
			}
			slowest = max(slowest, took)
		}
	}
	x.Logf("%d jobs, each complete, the slowest after %v", n, slowest)
}

// crash kills one container and then the other of an application's pod; each comes
// back, and the application goes on.
func (x *town) crash() {
	pod := x.application("crashes")
	for _, program := range []string{"attache", "town"} {
		before := x.saysOf(pod.Name)
		if !killIn(string(pod.UID), program) {
			x.Fatalf("no process %s", program)
		}
		real.Until(x, time.Minute, program+" is back and used", func() bool {
			p, err := x.k.Client.CoreV1().Pods(till).Get(x.Context(), pod.Name, metav1.GetOptions{})
			if err != nil || !isReady(p) {
				return false
			}
			restarts := int32(0)
			for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
				if c.Name == map[string]string{"attache": "attache", "town": "app"}[program] {
					restarts = c.RestartCount
				}
			}
			return restarts == 1
		})
		mid := x.saysOf(pod.Name)
		after := x.hasUsed(pod.Name)
		if after.Failed > mid.Failed {
			x.Errorf("%s crashed: %v, and some requests later %v", program, mid, after)
		}
		x.Logf("%s crashed: before %v; after %v", program, before, after)
	}
	x.end(pod)
}

// saysOf is says, of whom it is called.
func (x *town) saysOf(name string) report {
	x.Helper()
	p, err := x.k.Client.CoreV1().Pods(till).Get(x.Context(), name, metav1.GetOptions{})
	x.must(err)
	return x.says(p)
}

// hasUsed waits until an application has made some requests more of each service, and gives
// what it says then.
func (x *town) hasUsed(name string) (after report) {
	x.Helper()
	p, err := x.k.Client.CoreV1().Pods(till).Get(x.Context(), name, metav1.GetOptions{})
	x.must(err)
	before := x.says(p)
	real.Until(x, 20*time.Second, name+" goes on with its requests", func() bool {
		after = x.says(p)
		return after.Cache >= before.Cache+100 && after.Web >= before.Web+100
	})
	return after
}

// killIn kills the process of a program in a pod's control group.
func killIn(pod, program string) bool {
	all, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, comm := range all {
		name, _ := os.ReadFile(comm)
		groups, _ := os.ReadFile(filepath.Join(filepath.Dir(comm), "cgroup"))
		args, _ := os.ReadFile(filepath.Join(filepath.Dir(comm), "cmdline"))
		if strings.TrimSpace(string(name)) != program || !strings.Contains(string(groups), pod) || strings.Contains(string(args), "pause") {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(comm)))
		return syscall.Kill(pid, syscall.SIGKILL) == nil
	}
	return false
}
