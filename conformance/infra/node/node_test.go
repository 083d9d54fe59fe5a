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
    ports:
    - {name: cache, port: 11211, protocol: memcached, service: "k8s://shop/memcached:main"}
    - {name: web, port: 8080, protocol: http, service: "k8s://shop/web:main"}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	x.helm("install", "attache", chart, "--create-namespace", "-f", config, "--wait", "--wait-for-jobs", "--timeout", "120s")
	x.namespace(till, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})

	app := x.application("first")
	said := x.says(app)
	t.Logf("an application of its first moment: %v", said)
	if said.Failed > 0 {
		t.Errorf("failed: %v", said)
	}
	t.Run("endpoints", func(t *testing.T) { (&town{t, k}).endpoints() })
	t.Run("rolling", func(t *testing.T) { (&town{t, k}).rolling(app.Name) })
	t.Run("upgrade", func(t *testing.T) { (&town{t, k}).upgrade(app.Name, config) })
	t.Run("jobs", func(t *testing.T) { (&town{t, k}).jobs() })
	t.Run("crash", func(t *testing.T) { (&town{t, k}).crash() })
	said = x.end(app)
	t.Logf("to its last: %v", said)
	if said.Failed > 0 || !said.LastServed {
		t.Errorf("a pod that was deleted under load: %v, its last request served: %v", said, said.LastServed)
	}
	x.helm("uninstall", "attache", "--wait", "--timeout", "60s")
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
		time.Sleep(time.Second) // of load on the new ones
		after := x.saysOf(name)
		x.Logf("%s updated: %d requests meanwhile, %d failed", app, after.Cache+after.Web-before.Cache-before.Web, after.Failed-before.Failed)
		if after.Failed > before.Failed {
			x.Errorf("a rolling update of %s lost requests: %v", app, after)
		}
	}
}

// upgrade changes the release to the values for production and back, under load.
func (x *town) upgrade(name, config string) {
	before := x.saysOf(name)
	// One node is all there is: replicas may be on the same.
	x.helm("upgrade", "attache", chart, "-f", config, "-f", chart+"/values-ha.yaml", "--set", "resources.requests.cpu=10m", "--wait", "--timeout", "120s")
	x.helm("rollback", "attache", "1", "--wait", "--timeout", "120s")
	if after := x.saysOf(name); after.Failed > before.Failed {
		x.Errorf("an upgrade of the control plane lost requests: %v", after)
	}
}

// jobs runs Jobs one after the other, ATTACHE_JOBS of them.
func (x *town) jobs() {
	n := 3
	if asked, err := strconv.Atoi(os.Getenv("ATTACHE_JOBS")); err == nil {
		n = asked
	}
	var slowest time.Duration
	for i := range n {
		said, took := x.work(fmt.Sprint("job-", i))
		if said.Failed > 0 || said.Cache == 0 {
			x.Errorf("job %d: %v", i, said)
		}
		slowest = max(slowest, took)
	}
	x.Logf("%d jobs, each complete, at most %v", n, slowest.Round(time.Millisecond))
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
		time.Sleep(time.Second)
		after := x.saysOf(pod.Name)
		if after.Failed > mid.Failed || after.Web == mid.Web {
			x.Errorf("%s crashed: %v, and a second later %v", program, mid, after)
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
