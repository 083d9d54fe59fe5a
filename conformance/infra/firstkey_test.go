//go:build infra

package infra

// docs/kubernetes.md, from nothing to the first key. Its commands are read from it and
// run; what no kubelet does here, which is to run containers, the test does: the
// certificate's Job, the control plane, the shards of memcached, and the sidecar that the
// API server has put into the application's pod, each as the release says.

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

func TestFirstKey(t *testing.T) {
	lines := real.FirstKey(t)
	k := real.StartKube(t)
	tools := t.TempDir()
	env := []string{"ARGS=-arch " + runtime.GOARCH, "KUBECONFIG=" + k.Kubeconfig, "PATH=" + strings.Join([]string{tools, filepath.Dir(real.Binary(t, "kubectl")), os.Getenv("PATH")}, ":")}

	real.Shell(t, lines[0], env...)
	// There is no containerd here: what stands in for it says which image it is given.
	tool(t, tools, "ctr", `[ "$1 $2 $3 $4" = "-n k8s.io images import" ] && tar -xOf "$5" index.json`)
	images := real.Shell(t, lines[1], env...)
	real.Shell(t, lines[2], env...)
	release := k.Client.AppsV1().Deployments("attache")
	d, err := release.Get(t.Context(), "attache", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	control := d.Spec.Template.Spec.Containers[0]
	imported(t, images, control.Image)
	runRelease(t, k, control.Args)

	if said := real.Shell(t, lines[3], env...); !strings.Contains(said, "ambassador.attache.dev/web created") {
		t.Error(said)
	}
	for _, p := range podsOf(t, k, "shop", "memcached", 3) {
		real.StartMemcached(t, p.Status.PodIP+":11211")
	}
	web := podsOf(t, k, "shop", "web", 1)[0]
	if len(web.Spec.InitContainers) != 1 || web.Spec.InitContainers[0].Name != "attache" {
		t.Fatalf("no sidecar in %+v", web.Spec)
	}
	sidecar := web.Spec.InitContainers[0]
	imported(t, images, sidecar.Image)
	runSidecar(t, web.Name, web.Namespace, sidecar.Args, `"attache.attache.svc"`, fmt.Sprintf("%q", clusterIP(t, k, "attache")))
	real.Until(t, 30*time.Second, "the application may start", func() bool {
		return exec.CommandContext(t.Context(), program(t, "attache"), sidecar.StartupProbe.Exec.Command[1:]...).Run() == nil
	})

	// Nor is there a container to execute in: its network is this one.
	tool(t, tools, "nc", `exec busybox nc "$@"`)
	tool(t, tools, "kubectl", `[ "$1 $2 $3 $4 $5 $6 $7" = "-n shop exec deploy/web -c app --" ] && shift 7 && exec "$@"`)
	if said := real.Shell(t, lines[4], env...); said != "STORED\r\nVALUE greeting 0 5\r\nhello\r\nEND\r\n" {
		t.Errorf("%q", said)
	}
}

// tool puts a script into a folder of programs.
func tool(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// imported: the image that a container asks for is among those that the node was given.
func imported(t *testing.T, images, name string) {
	t.Helper()
	if !strings.Contains(images, fmt.Sprintf("%q", name)) {
		t.Errorf("image %s is not among those that were made: %s", name, images)
	}
}

func clusterIP(t *testing.T, k *real.Kube, service string) string {
	t.Helper()
	s, err := k.Client.CoreV1().Services("attache").Get(t.Context(), service, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Spec.ClusterIP
}

// runRelease runs the certificate's Job and then the control plane with the arguments of
// its pod, as the accounts of the release and at the addresses of its services.
func runRelease(t *testing.T, k *real.Kube, args []string) {
	t.Helper()
	const ns = "attache"
	makeCertificate(t, k, ns, 1)
	dir := t.TempDir()
	account := filepath.Join(dir, "kubeconfig")
	asToken(t, k.Kubeconfig, tokenOf(t, k, ns, "attache"), account)
	secret, err := k.Client.CoreV1().Secrets(ns).Get(t.Context(), "attache-injector-tls", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"tls.crt": string(secret.Data["tls.crt"]), "tls.key": string(secret.Data["tls.key"])}
	for _, name := range []string{"attache", "attache-injector"} {
		m, err := k.Client.CoreV1().ConfigMaps(ns).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for file, text := range m.Data {
			files[file] = text
		}
	}
	files["attache-control.yaml"] += fmt.Sprintf("\nsources: {k8s: {kind: kubernetes, kubeconfig: %q}}\n", account)
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	status := fmt.Sprintf("127.0.0.1:%d", real.Ports(t, 1)[0])
	place := strings.NewReplacer("/etc/attache/config", dir, "/etc/attache/injector-tls", dir, "/etc/attache/injector", dir,
		"--listen=[::]:", "--listen="+clusterIP(t, k, "attache")+":", "--status-address=[::]:18001", "--status-address="+status,
		"--inject-address=[::]:18002", "--inject-address="+clusterIP(t, k, "attache-injector")+":443")
	argv := []string{program(t, "attache-control"), "--kubeconfig=" + account}
	for _, arg := range args {
		argv = append(argv, place.Replace(arg))
	}
	p := real.Start(t, "attache-control", argv...)
	p.Ready(30*time.Second, func() bool { _, err := get(http.DefaultClient, "http://"+status+"/ready"); return err == nil })
}

// makeCertificate does what the Job of a revision does, as its account.
func makeCertificate(t *testing.T, k *real.Kube, ns string, revision int) {
	t.Helper()
	job, err := k.Client.BatchV1().Jobs(ns).Get(t.Context(), fmt.Sprint("attache-injector-", revision), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod := job.Spec.Template.Spec
	as := filepath.Join(t.TempDir(), "kubeconfig")
	asToken(t, k.Kubeconfig, tokenOf(t, k, ns, pod.ServiceAccountName), as)
	out, err := exec.CommandContext(t.Context(), program(t, "attache-control"), append(slices.Clone(pod.Containers[0].Args), "--kubeconfig", as)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// podsOf waits until an app has n pods with an address.
func podsOf(t *testing.T, k *real.Kube, ns, app string, n int) (pods []corev1.Pod) {
	t.Helper()
	real.Until(t, time.Minute, fmt.Sprintf("%d pods of %s", n, app), func() bool {
		list, err := k.Client.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
		if err != nil {
			return false
		}
		pods = list.Items
		return len(pods) == n && !slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.Status.PodIP == "" })
	})
	return pods
}
