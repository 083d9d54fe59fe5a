package kube

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/attache-mesh/attache/discovery"
)

// eventsUntil waits until the fake API server's events are as wanted.
func eventsUntil(t *testing.T, client *fake.Clientset, want func([]corev1.Event) bool) []corev1.Event {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	var last []corev1.Event
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		list, err := client.CoreV1().Events("shop").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if last = list.Items; want(last) {
			return last
		}
	}
	t.Fatalf("events after 10 s: %+v", last)
	return nil
}

// TestEvents: one warning is one Event, the same again a count, and a flood of
// others one that says so.
func TestEvents(t *testing.T) {
	client := fake.NewClientset()
	s, err := New(Config{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	cart, ok := s.ObjectOf(discovery.Service{Source: "k8s", Name: "shop/cart", Port: "http"})
	if !ok || cart != (Object{Kind: "Service", Namespace: "shop", Name: "cart"}) {
		t.Fatalf("object %+v", cart)
	}
	if _, ok := s.ObjectOf(discovery.Service{Source: "k8s", Name: "cart"}); ok {
		t.Error("a name without a namespace has an object")
	}
	r := s.NewReporter("attache-control")
	defer r.Close()
	r.Warn(cart, "ResourceRefused", "sidecar a refused it")
	first := eventsUntil(t, client, func(all []corev1.Event) bool { return len(all) == 1 })[0]
	if first.Type != "Warning" || first.Reason != "ResourceRefused" || first.InvolvedObject.Name != "cart" || first.InvolvedObject.Kind != "Service" ||
		first.Source.Component != "attache-control" || first.Message != "sidecar a refused it" {
		t.Errorf("%+v", first)
	}
	r.Warn(cart, "ResourceRefused", "sidecar a refused it")
	eventsUntil(t, client, func(all []corev1.Event) bool { return len(all) == 1 && all[0].Count == 2 })
	for i := range 200 {
		r.Warn(cart, "ResourceRefused", fmt.Sprintf("sidecar %d refused it%s", i, strings.Repeat("!", 2000)))
	}
	all := eventsUntil(t, client, func(all []corev1.Event) bool {
		return len(all) > 0 && strings.HasPrefix(all[len(all)-1].Message, "(combined from similar events)")
	})
	if len(all) > eventBurst {
		t.Errorf("%d events of 202 warnings", len(all))
	}
	for _, e := range all {
		if len(e.Message) > 1024 {
			t.Errorf("a message of %d bytes", len(e.Message))
		}
	}
}

// TestOwnPod is what the manifest gives by fieldRef.
func TestOwnPod(t *testing.T) {
	t.Setenv("POD_NAME", "")
	if _, ok := OwnPod(); ok {
		t.Error("a pod without a name")
	}
	t.Setenv("POD_NAME", "control-0")
	t.Setenv("POD_NAMESPACE", "mesh")
	t.Setenv("POD_UID", "u")
	if o, ok := OwnPod(); !ok || o != (Object{"Pod", "mesh", "control-0", "u"}) {
		t.Errorf("%+v", o)
	}
}
