package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/attache-mesh/attache/discovery/kube"
)

const injectSettings = "image: localhost/attache:v1\ncontrolPlane: attache.attache.svc:18000\nnative: true\nneverIn: [kube-system]\n"

// hook is a webhook whose settings are in a file, and the events that it has
// written.
func hook(t *testing.T) (h *webhook, settings string, events *[]string) {
	t.Helper()
	settings = filepath.Join(t.TempDir(), "inject.yaml")
	if err := os.WriteFile(settings, []byte(injectSettings), 0o600); err != nil {
		t.Fatal(err)
	}
	events = &[]string{}
	h = &webhook{settings: settingsFile{path: settings}, warn: func(on kube.Object, reason, message string) {
		*events = append(*events, fmt.Sprintf("%s %s/%s %s: %s", on.Kind, on.Namespace, on.Name, reason, message))
	}}
	return h, settings, events
}

// ask sends a review as the API server does.
func ask(t *testing.T, h *webhook, path, request string) (*admissionv1.AdmissionResponse, int) {
	t.Helper()
	body := `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": ` + request + `}`
	w := httptest.NewRecorder()
	h.pages().ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	if w.Code != http.StatusOK {
		return nil, w.Code
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(w.Body.Bytes(), &review); err != nil || review.Response == nil || review.APIVersion != "admission.k8s.io/v1" {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return review.Response, w.Code
}

const ownedPod = `{"metadata": {"generateName": "web-", "labels": {"app": "web"}, "annotations": {%s},
	"ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "u", "controller": true}]}, "spec": {"containers": [{"name": "app"}]}}`

func podReview(annotations, more string) string {
	return `{"uid": "7", "namespace": "shop", "operation": "CREATE", "kind": {"version": "v1", "kind": "Pod"}, "object": ` + fmt.Sprintf(ownedPod, annotations) + more + `}`
}

func TestWebhook(t *testing.T) {
	for _, x := range []struct {
		about, path, request string
		patched, denied      bool
		warning, event       string
	}{
		{about: "its namespace asks", path: "/inject/namespace", request: podReview("", ""), patched: true},
		{about: "nobody asks", path: "/inject/pod", request: podReview("", "")},
		{about: "it asks", path: "/inject/pod", request: podReview(`"attache.dev/inject": "enabled"`, ""), patched: true},
		{
			about: "it asks for what there is not", path: "/inject/namespace", request: podReview(`"attache.dev/x": "y"`, ""), patched: true,
			warning: "attache: annotation attache.dev/x: there is no such annotation", event: "ReplicaSet shop/web-1 InjectionUnknown: annotation attache.dev/x: there is",
		},
		{
			about: "it asks for what cannot be", path: "/inject/namespace", request: podReview(`"attache.dev/admin-port": "0"`, ""), denied: true,
			event: `ReplicaSet shop/web-1 InjectionRefused: annotation attache.dev/admin-port: "0": want a number from 1 to 65535`,
		},
		{about: "a dry run leaves no trace", path: "/inject/namespace", request: podReview(`"attache.dev/x": "y"`, `, "dryRun": true`), patched: true, warning: "attache.dev/x"},
		{about: "not a pod", path: "/inject/namespace", request: `{"uid": "7", "operation": "CREATE", "kind": {"kind": "Service"}, "object": {}}`},
		{about: "a pod that is there", path: "/inject/namespace", request: strings.Replace(podReview("", ""), "CREATE", "UPDATE", 1)},
	} {
		t.Run(x.about, func(t *testing.T) {
			h, _, events := hook(t)
			r, code := ask(t, h, x.path, x.request)
			if r == nil || r.UID != "7" {
				t.Fatalf("%d %+v", code, r)
			}
			if r.Allowed == x.denied || (len(r.Patch) > 0) != x.patched {
				t.Errorf("allowed %v, patch %s, %+v", r.Allowed, r.Patch, r.Result)
			}
			if got := strings.Join(r.Warnings, "\n"); (x.warning == "") != (got == "") || !strings.Contains(got, x.warning) {
				t.Errorf("warnings %q", got)
			}
			if got := strings.Join(*events, "\n"); (x.event == "") != (got == "") || !strings.Contains(got, x.event) {
				t.Errorf("events %q", got)
			}
		})
	}
}

// TestWebhookRefusesWhatItCannotRead: an error of HTTP, which failurePolicy is
// about.
func TestWebhookRefusesWhatItCannotRead(t *testing.T) {
	h, _, _ := hook(t)
	for body, want := range map[string]int{
		"":   http.StatusBadRequest,
		"{}": http.StatusBadRequest,
		`{"apiVersion": "admission.k8s.io/v1beta1", "request": {}}`: http.StatusBadRequest,
		strings.Repeat(" ", maxReview+1):                            http.StatusRequestEntityTooLarge,
	} {
		w := httptest.NewRecorder()
		h.pages().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/inject/pod", strings.NewReader(body)))
		if w.Code != want {
			t.Errorf("%.60q: %d, want %d", body, w.Code, want)
		}
	}
}

// TestWebhookSettingsFollowTheirFile, and stay while it is wrong.
func TestWebhookSettingsFollowTheirFile(t *testing.T) {
	h, path, _ := hook(t)
	image := func() string {
		r, _ := ask(t, h, "/inject/namespace", podReview("", ""))
		for _, v := range []string{"v1", "v22"} {
			if bytes.Contains(r.Patch, []byte(`"image":"localhost/attache:`+v+`"`)) {
				return v
			}
		}
		return string(r.Patch)
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := image(); got != "v1" {
		t.Fatal(got)
	}
	write(strings.Replace(injectSettings, "v1", "v22", 1))
	if got := image(); got != "v22" {
		t.Fatal(got)
	}
	write("image: [")
	if got := image(); got != "v22" {
		t.Fatal(got)
	}
}

// TestCertificateIsRenewed a third before its end, by the CA that stays.
func TestCertificateIsRenewed(t *testing.T) {
	s := &corev1.Secret{}
	names := []string{"attache-injector.attache.svc"}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	step := func(after time.Duration, want string) {
		t.Helper()
		got, err := renewed(s, names, now.Add(after))
		if err != nil || got != want {
			t.Fatalf("after %s: %q %v, want %q", after, got, err, want)
		}
	}
	step(0, "a new CA and certificate")
	ca := bytes.Clone(s.Data["ca.crt"])
	step(time.Hour, "")
	step(59*24*time.Hour, "")
	step(61*24*time.Hour, "a new certificate")
	if !bytes.Equal(ca, s.Data["ca.crt"]) {
		t.Error("the CA has changed")
	}
	names = []string{"other.attache.svc"}
	step(62*24*time.Hour, "a new certificate")
	s.Data["tls.key"] = []byte("broken")
	step(62*24*time.Hour, "a new certificate")
	step(7*365*24*time.Hour, "a new CA and certificate")
	s = &corev1.Secret{Data: map[string][]byte{"tls.crt": s.Data["tls.crt"], "tls.key": s.Data["tls.key"]}}
	step(7*365*24*time.Hour, "a new CA and certificate")
}
