//go:build infra

package infra

// The resource Ambassador on a real API server: its schema refuses, the control
// plane serves it to a real sidecar with the rights of the release's service
// account and nothing else, and its status follows.

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

var ambassadorKind = schema.GroupVersionResource{Group: "attache.dev", Version: "v1alpha1", Resource: "ambassadors"}

const ambassadorText = `
apiVersion: attache.dev/v1alpha1
kind: Ambassador
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  ports:
  - {name: cache, port: %d, protocol: memcached, service: "k8s://default/cache:main", sharding: {policy: ketama}}
`

// ambassadorsOf are those of the namespace default.
func ambassadorsOf(t *testing.T, k *real.Kube) dynamic.ResourceInterface {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", k.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(ambassadorKind).Namespace("default")
}

// ambassadorControl runs a control plane as the release's account; name is its
// pod's.
func ambassadorControl(t *testing.T, k *real.Kube, ns, name, xds, status string, flags ...string) *real.Process {
	t.Helper()
	dir := t.TempDir()
	account := filepath.Join(dir, "kubeconfig")
	asToken(t, k.Kubeconfig, tokenOf(t, k, ns, "attache"), account)
	file := filepath.Join(dir, "control.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "sources: {k8s: {kind: kubernetes, kubeconfig: %q}}\nambassadors: []\n", account), 0o600); err != nil {
		t.Fatal(err)
	}
	p := real.Start(t, name, append([]string{
		"env", "POD_NAME=" + name, "POD_NAMESPACE=" + ns, program(t, "attache-control"), "-c", file,
		"--listen=" + xds, "--status-address=" + status, "--ambassadors=all", "--kubeconfig=" + account,
	}, flags...)...)
	p.Ready(30*time.Second, func() bool { _, err := get(http.DefaultClient, "http://"+status+"/ready"); return err == nil })
	return p
}

// chartReplicas runs two replicas with the Lease of the release: the one that
// holds it counts the other's sidecars, and when it is gone the other goes on.
func chartReplicas(t *testing.T, k *real.Kube, ns string) {
	in := ambassadorsOf(t, k)
	ports := real.Ports(t, 5)
	at := func(host, i int) string { return fmt.Sprintf("127.0.0.%d:%d", host, ports[i]) }
	lease := []string{"--lease=attache", "--peers=" + at(2, 1)} // a name would have the addresses of both
	first := ambassadorControl(t, k, ns, "first", at(1, 0), at(1, 1), lease...)
	statusBecomes(t, in, "the first holds the Lease, and no sidecar is there any more", func(s ambassadorStatus) bool { return s.Sidecars.Connected == 0 })
	ambassadorControl(t, k, ns, "second", at(1, 2), at(2, 1), lease...)
	launchPod(t, at(1, 2), ports[3])
	statusBecomes(t, in, "the second's sidecar counts", func(s ambassadorStatus) bool { return s.Sidecars.Connected == 1 && s.Sidecars.Synced == 1 })
	first.Kill()
	if _, err := apply(t.Context(), in, strings.Replace(fmt.Sprintf(ambassadorText, ports[4]), "k8s:", "nowhere:", 1)); err != nil {
		t.Fatal(err)
	}
	statusBecomes(t, in, "the second goes on", func(s ambassadorStatus) bool { return s.ObservedGeneration == 4 && s.is("Accepted", "False") })
}

func chartAmbassadors(t *testing.T, k *real.Kube, ns string) {
	in := ambassadorsOf(t, k)
	ports := real.Ports(t, 4)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	ambassadorControl(t, k, ns, "attache-1", at(0), at(1))
	text := fmt.Sprintf(ambassadorText, ports[2])
	refused(t, in, strings.Replace(text, "sharding:", "shardin:", 1), `unknown field "spec.ports[0].shardin"`)
	refused(t, in, strings.Replace(text, "memcached", "memcache", 1), `spec.ports[0].protocol: Unsupported value: "memcache"`)
	refused(t, in, strings.Replace(text, fmt.Sprint(ports[2]), "70000", 1), "spec.ports[0].port: Invalid value")
	refused(t, in, strings.Replace(text, "k8s:", "k8s", 1), "spec.ports[0].service: Invalid value")
	if _, err := apply(t.Context(), in, text); err != nil {
		t.Fatal(err)
	}
	launchPod(t, at(0), ports[3])
	statusBecomes(t, in, "one sidecar has taken it", func(s ambassadorStatus) bool {
		return s.is("Accepted", "True") && s.is("Programmed", "True") && s.Sidecars.Connected == 1 && s.Sidecars.Synced == 1
	})
	if _, err := apply(t.Context(), in, strings.Replace(text, "k8s:", "nowhere:", 1)); err != nil {
		t.Fatal(err)
	}
	statusBecomes(t, in, "it says what is wrong, and the last good version is served", func(s ambassadorStatus) bool {
		return s.is("Accepted", "False") && s.ObservedGeneration == 2 && strings.Contains(fmt.Sprint(s.Conditions), "spec.ports[0].service: nowhere://: there is no such source") &&
			strings.Contains(fmt.Sprint(s.Conditions), "generation 1 is served") && s.Sidecars.Connected == 1
	})
	if _, err := apply(t.Context(), in, text); err != nil {
		t.Fatal(err)
	}
	statusBecomes(t, in, "it is good again", func(s ambassadorStatus) bool { return s.is("Accepted", "True") && s.ObservedGeneration == 3 })
}

// launchPod runs a sidecar as the injector makes it for a pod with the label
// app: web in the namespace default.
func launchPod(t *testing.T, control string, adminPort int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pod.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "{kind: Pod, metadata: {name: web, namespace: default, labels: {app: web}, annotations: {attache.dev/admin-port: \"%d\"}}, spec: {containers: [{name: app}]}}", adminPort), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program(t, "attache"), "inject", "-f", file, "-o", "yaml", "--image", "attache:1", "--control-plane", control).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var pod struct {
		Spec struct {
			InitContainers, Containers []struct {
				Name string
				Args []string
			}
		}
	}
	if err := yaml.Unmarshal(out, &pod); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
		if c.Name != "attache" {
			continue
		}
		runSidecar(t, "web-1", "default", c.Args)
		return
	}
	t.Fatalf("no sidecar in %s", out)
}

// runSidecar runs the injector's container of a pod: what the kubelet does for it.
func runSidecar(t *testing.T, name, namespace string, args []string, more ...string) *real.Process {
	t.Helper()
	argv := []string{program(t, "attache")}
	for _, arg := range args {
		argv = append(argv, strings.NewReplacer(append(more, "$$", "$", "$(POD_NAME)", name, "$(POD_NAMESPACE)", namespace, "$(POD_ZONE)", "",
			"/var/lib/attache", t.TempDir(), "/run/attache/exit", filepath.Join(t.TempDir(), "exit"))...).Replace(arg))
	}
	return real.Start(t, "attache "+name, argv...)
}

type ambassadorStatus struct {
	ObservedGeneration int64
	Conditions         []metav1.Condition
	Sidecars           struct{ Connected, Synced, Refused int64 }
}

func (s ambassadorStatus) is(kind, status string) bool {
	for _, c := range s.Conditions {
		if c.Type == kind {
			return string(c.Status) == status
		}
	}
	return false
}

func statusBecomes(t *testing.T, in dynamic.ResourceInterface, what string, is func(ambassadorStatus) bool) {
	t.Helper()
	real.Until(t, 45*time.Second, what, func() bool {
		o, err := in.Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return false
		}
		text, err := json.Marshal(o.Object["status"])
		var s ambassadorStatus
		return err == nil && json.Unmarshal(text, &s) == nil && is(s)
	})
}

// apply makes or replaces it, as kubectl does: unknown fields are refused.
func apply(ctx context.Context, in dynamic.ResourceInterface, text string) (*unstructured.Unstructured, error) {
	var o unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		return nil, err
	}
	before, err := in.Get(ctx, o.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return in.Create(ctx, &o, metav1.CreateOptions{FieldValidation: "Strict"})
	} else if err != nil {
		return nil, err
	}
	o.SetResourceVersion(before.GetResourceVersion())
	return in.Update(ctx, &o, metav1.UpdateOptions{FieldValidation: "Strict"})
}

func refused(t *testing.T, in dynamic.ResourceInterface, text, want string) {
	t.Helper()
	if _, err := apply(t.Context(), in, text); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
