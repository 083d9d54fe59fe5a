//go:build infra

package node

import (
	"runtime"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

// firstKey runs the commands of docs/kubernetes.md, from nothing to the first key, as they
// are there: nothing stands in for anything here.
func (x *town) firstKey() {
	namespaces := x.k.Client.CoreV1().Namespaces()
	x.must(namespaces.Delete(x.Context(), shop, metav1.DeleteOptions{}))
	real.Until(x, 2*time.Minute, "the shop of before has gone", func() bool {
		_, err := namespaces.Get(x.Context(), shop, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	env := []string{"ARGS=-arch " + runtime.GOARCH, "KUBECONFIG=" + x.k.Kubeconfig, "CONTAINERD_ADDRESS=" + real.ContainerdSocket}
	var said string
	began := time.Now()
	for _, line := range real.FirstKey(x) {
		at := time.Now()
		said = real.Shell(x, line, env...)
		x.Logf("%6.1f s  %s", time.Since(at).Seconds(), line)
	}
	if want := "STORED\r\nVALUE greeting 0 5\r\nhello\r\nEND\r\n"; said != want {
		x.Errorf("the last says %q, want %q\n%s", said, want, x.pods(shop))
	}
	x.Logf("from nothing to the first key in %v", time.Since(began).Round(time.Second))
}

// publicImages stand in for those that the example asks a registry for.
func publicImages(t *testing.T) []string {
	t.Helper()
	tools := real.WithLibraries(t, "busybox")
	for _, name := range []string{"bin/sh", "bin/sleep", "bin/nc"} {
		tools[name] = tools["busybox"]
	}
	return []string{
		real.Image(t, "docker.io/library/busybox:1.37", tools, "/bin/sh"),
		real.Image(t, "docker.io/library/memcached:1.6", real.WithLibraries(t, "memcached"), "/memcached"),
	}
}
