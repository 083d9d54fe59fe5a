package main

// The injector: the API server asks it about each pod that is about to be made,
// and is told what to add.
//
//	API server ──AdmissionReview──▶ /inject/namespace (its namespace asks)  ──▶ inject.Pod ──▶ patch, warnings, or why it is refused
//	                                /inject/pod       (it asks by itself)

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/attache-mesh/attache/charts/inject"
	"github.com/attache-mesh/attache/discovery/kube"
	"github.com/attache-mesh/attache/xds/server"
)

// maxReview is the longest review that is read: the API server takes objects of
// 3 MiB, and the review has the pod twice on updates.
const maxReview = 8 << 20

// webhook answers reviews. Its counters may be read by any goroutine.
type webhook struct {
	settings settingsFile
	warn     func(on kube.Object, reason, message string)
	http     *http.Server

	injected, left, refused atomic.Uint64
}

// serveWebhook opens the injector's port, if there is to be one.
func (p *program) serveWebhook(ctx context.Context) (*webhook, error) {
	if p.f.injectAddress == "" {
		return nil, nil
	}
	h := &webhook{settings: settingsFile{path: p.f.injectSettings}, warn: p.warnAbout}
	if _, err := h.settings.get(); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", p.f.injectAddress)
	if err != nil {
		return nil, err
	}
	h.http = &http.Server{
		Handler: h.pages(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	p.log.Info("injecting", "address", l.Addr().String())
	go h.run(ctx, l, p)
	return h, nil
}

// run serves as soon as there is a certificate: the Job that makes it may come
// after us. Sidecars are served meanwhile.
func (h *webhook) run(ctx context.Context, l net.Listener, p *program) {
	defer l.Close()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	said := false
	for h.http.TLSConfig == nil {
		var err error
		if h.http.TLSConfig, err = server.TLSConfig(server.TLSFiles{Certificate: p.f.injectCertificate, Key: p.f.injectKey}, p.log); err != nil {
			if !said {
				p.log.Warn("injector waits for its certificate", "reason", err)
				said = true
			}
			select {
			case <-ctx.Done():
				return
			case <-look.C:
			}
		}
	}
	if said {
		p.log.Info("injector has its certificate")
	}
	if err := h.http.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		p.log.Error("injector ended", "error", err)
	}
}

func (h *webhook) close() {
	if h != nil {
		_ = h.http.Close() // nobody is left who would be told
	}
}

// warnAbout writes an Event where there is Kubernetes.
func (p *program) warnAbout(on kube.Object, reason, message string) {
	if r := p.reporter.Load(); r != nil {
		r.Warn(on, reason, message)
	}
}

func (h *webhook) pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /inject/namespace", func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, true) })
	mux.HandleFunc("POST /inject/pod", func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, false) })
	return mux
}

// serve answers one review. What cannot be read is an error of HTTP, which the
// API server treats as the webhook's failurePolicy says.
func (h *webhook) serve(w http.ResponseWriter, r *http.Request, wanted bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReview))
	if err != nil {
		http.Error(w, "review: "+err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	var review admissionv1.AdmissionReview
	switch err := json.Unmarshal(body, &review); {
	case err != nil:
		http.Error(w, "review: "+err.Error(), http.StatusBadRequest)
		return
	case review.Request == nil || review.APIVersion != "admission.k8s.io/v1":
		http.Error(w, "review: want a request of admission.k8s.io/v1", http.StatusBadRequest)
		return
	}
	s, err := h.settings.get()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer := h.review(review.Request, s, wanted)
	answer.UID = review.Request.UID
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(admissionv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: answer}) // an error is the client's going
}

// review decides about one pod. A pod that is there already, and anything that is
// none, is let through.
func (h *webhook) review(r *admissionv1.AdmissionRequest, s *inject.Settings, wanted bool) *admissionv1.AdmissionResponse {
	answer := &admissionv1.AdmissionResponse{Allowed: true}
	if r.Kind.Kind != "Pod" || r.Operation != admissionv1.Create || r.SubResource != "" {
		return answer
	}
	out, err := inject.Pod(inject.Request{Pod: r.Object.Raw, Namespace: r.Namespace, Wanted: wanted}, s)
	if err != nil {
		h.refused.Add(1)
		h.tell(r, "InjectionRefused", err.Error())
		return &admissionv1.AdmissionResponse{Result: &metav1.Status{
			Status: metav1.StatusFailure, Reason: metav1.StatusReasonInvalid, Code: http.StatusUnprocessableEntity,
			Message: "attache: " + err.Error(),
		}}
	}
	for _, warning := range out.Warnings {
		answer.Warnings = append(answer.Warnings, "attache: "+warning)
		h.tell(r, "InjectionUnknown", warning)
	}
	if len(out.Patch) == 0 {
		h.left.Add(1)
		return answer
	}
	patch, err := json.Marshal(out.Patch)
	if err != nil {
		panic(err) // it is made of text, numbers, maps and lists
	}
	h.injected.Add(1)
	kind := admissionv1.PatchTypeJSONPatch
	answer.Patch, answer.PatchType = patch, &kind
	answer.AuditAnnotations = map[string]string{"ambassador": out.Ambassador}
	return answer
}

// tell writes an Event on the pod's owner, or on the pod: whoever wonders looks
// there. A dry run has no side effects.
func (h *webhook) tell(r *admissionv1.AdmissionRequest, reason, message string) {
	if r.DryRun != nil && *r.DryRun {
		return
	}
	var pod metav1.PartialObjectMetadata
	if json.Unmarshal(r.Object.Raw, &pod) != nil {
		return
	}
	on := kube.Object{Kind: "Pod", Namespace: r.Namespace, Name: pod.Name}
	if owner := metav1.GetControllerOf(&pod); owner != nil {
		on = kube.Object{Kind: owner.Kind, Namespace: r.Namespace, Name: owner.Name, UID: string(owner.UID)}
	}
	if on.Name != "" {
		h.warn(on, reason, message)
	}
}

// write gives the counters to /metrics.
func (h *webhook) write(s *sheet) {
	if h == nil {
		return
	}
	s.family("injections_total", "counter", "Pods that the injector was asked about.")
	s.sample("injections_total", float64(h.injected.Load()), "outcome", "injected")
	s.sample("injections_total", float64(h.left.Load()), "outcome", "left")
	s.sample("injections_total", float64(h.refused.Load()), "outcome", "refused")
}

// settingsFile reads the settings again when their file has changed; the last
// good ones stay while it is wrong. Any goroutine.
type settingsFile struct {
	path string
	mu   sync.Mutex
	last *inject.Settings
	seen string // size and time of what was read last
}

func (f *settingsFile) get() (*inject.Settings, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path) // a ConfigMap's file is a link, whose target changes
	if err == nil {
		if now := strconv.FormatInt(info.Size(), 10) + info.ModTime().String(); now != f.seen {
			var text []byte
			var s *inject.Settings
			if text, err = os.ReadFile(f.path); err == nil {
				s, err = inject.ReadSettings(text)
			}
			if err == nil {
				f.last, f.seen = s, now
			}
		}
	}
	if f.last != nil {
		return f.last, nil
	}
	return nil, fmt.Errorf("--inject-settings: %s: %w", strings.TrimSpace(f.path), err)
}
