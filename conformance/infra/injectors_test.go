//go:build infra

package infra

// Our injector beside another's on a real API server, and when nobody answers for it.

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	hooksv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

// another is an injector of somebody else's: it puts its own container before all others,
// unless it is there, and counts how often it is asked.
type another struct {
	name  string
	asked atomic.Int64
}

func (a *another) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.asked.Add(1)
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var pod corev1.Pod
	if err := json.Unmarshal(review.Request.Object.Raw, &pod); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	if !slices.Contains(containersOf(&pod), a.name) {
		patch, _ := json.Marshal([]any{map[string]any{"op": "add", "path": "/spec/initContainers/0", "value": restricted(a.name, 1000)}})
		json1 := admissionv1.PatchTypeJSONPatch
		review.Response.Patch, review.Response.PatchType = patch, &json1
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}

// containersOf are the names of a pod's containers, in the order of their start.
func containersOf(p *corev1.Pod) (names []string) {
	for _, c := range append(slices.Clone(p.Spec.InitContainers), p.Spec.Containers...) {
		names = append(names, c.Name)
	}
	return names
}

// startAnother registers it; the API server asks in the order of the names of the
// configurations, and ours is attache-….
func startAnother(t *testing.T, k *real.Kube, name string) *another {
	t.Helper()
	a := &another{name: name}
	ca := real.NewAuthority(t)
	pair := ca.Issue(name, real.Subject{CommonName: name, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	trusted, err := os.ReadFile(ca.File)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: a}
	ended := make(chan struct{})
	go func() {
		_ = s.ServeTLS(l, pair.Cert, pair.Key)
		close(ended)
	}()
	t.Cleanup(func() { _ = s.Close(); <-ended })
	url := fmt.Sprintf("https://%s/", l.Addr())
	none, fail, again, all := hooksv1.SideEffectClassNone, hooksv1.Fail, hooksv1.IfNeededReinvocationPolicy, hooksv1.NamespacedScope
	_, err = k.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(), &hooksv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []hooksv1.MutatingWebhook{{
			Name: name + ".example.org", AdmissionReviewVersions: []string{"v1"}, SideEffects: &none, FailurePolicy: &fail, ReinvocationPolicy: &again,
			ClientConfig:      hooksv1.WebhookClientConfig{URL: &url, CABundle: trusted},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "both"}},
			Rules: []hooksv1.RuleWithOperations{{
				Operations: []hooksv1.OperationType{hooksv1.Create},
				Rule:       hooksv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}, Scope: &all},
			}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = k.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(t.Context(), name, metav1.DeleteOptions{})
	})
	return a
}

// createAsking makes a pod that asks for a sidecar in its own namespace.
func createAsking(t *testing.T, k *real.Kube, ns, name string) (*corev1.Pod, error) {
	t.Helper()
	return k.Client.CoreV1().Pods(ns).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"attache.dev/inject": "enabled"}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: new(false),
			InitContainers:               []corev1.Container{restricted("theirs", 1000)}, Containers: []corev1.Container{restricted("app", 1000)},
		},
	}, metav1.CreateOptions{})
}

func createNamespace(t *testing.T, k *real.Kube, name string) {
	t.Helper()
	if _, err := k.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// twoInjectors: one that is asked before ours and one that is asked after. The later
// makes the API server ask the others again, who add nothing twice.
func twoInjectors(t *testing.T, k *real.Kube) {
	createNamespace(t, k, "both")
	before, after := startAnother(t, k, "a-mesh"), startAnother(t, k, "z-mesh")
	real.Until(t, 20*time.Second, "the API server asks all three", func() bool {
		pod, err := createAsking(t, k, "both", fmt.Sprint("pod-", before.asked.Load(), "-", after.asked.Load()))
		return err == nil && len(containersOf(pod)) == 5 && before.asked.Load() >= 2
	})
	pod, err := createAsking(t, k, "both", "last")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(containersOf(pod), " "); got != "z-mesh attache a-mesh theirs app" {
		t.Errorf("containers: %s", got)
	}
	if volumes := len(pod.Spec.Volumes); volumes != 1 {
		t.Errorf("%d volumes: %+v", volumes, pod.Spec.Volumes)
	}
}

// nobodyAnswers: without a replica, pods start without their sidecar (Ignore), or not at
// all (Fail). Those that do not ask, and kube-system's, start in any case.
func nobodyAnswers(t *testing.T, k *real.Kube, policy hooksv1.FailurePolicyType) {
	ns := "alone-" + strings.ToLower(string(policy))
	createNamespace(t, k, ns)
	pod, err := createAsking(t, k, ns, "asks")
	switch {
	case policy == hooksv1.Fail && (err == nil || !strings.Contains(err.Error(), "failed calling webhook")):
		t.Errorf("a pod that asks: %v", err)
	case policy == hooksv1.Ignore && (err != nil || len(containersOf(pod)) != 2):
		t.Errorf("a pod that asks: %v, %v", err, containersOf(pod))
	}
	if _, err := createAsking(t, k, "kube-system", ns); err != nil {
		t.Errorf("a pod of kube-system: %v", err)
	}
	silent := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "silent"}, Spec: corev1.PodSpec{AutomountServiceAccountToken: new(false), Containers: []corev1.Container{restricted("app", 1000)}}}
	if _, err := k.Client.CoreV1().Pods(ns).Create(t.Context(), silent, metav1.CreateOptions{}); err != nil {
		t.Errorf("a pod that does not ask: %v", err)
	}
}
