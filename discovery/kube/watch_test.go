package kube

// The life of a watch, on client-go's fake clientset and virtual time.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/attache-mesh/attache/discovery"
)

// cluster is a fake API server and one watch of k8s://shop/cart:http on it.
type cluster struct {
	t      *testing.T
	client *fake.Clientset
	source *Source
	began  time.Time

	mu   sync.Mutex
	seen []string
}

func newCluster(t *testing.T, objects ...runtime.Object) *cluster {
	c := &cluster{t: t, client: fake.NewClientset(objects...), began: time.Now()}
	s, err := New(Config{Client: c.client, Log: slog.New(slog.DiscardHandler), Refresh: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	c.source = s
	return c
}

// watch runs until the test is over.
func (c *cluster) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.source.Watch(ctx, discovery.Service{Source: "k8s", Name: "shop/cart", Port: "http"}, c.reported)
	}()
	c.t.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
}

func (c *cluster) reported(r discovery.Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Err != nil {
		c.seen = append(c.seen, "error "+r.Err.Error())
		return
	}
	line := "set"
	for _, i := range r.Set.Instances {
		line += " " + i.ID
		if i.Health != discovery.Healthy {
			line += "," + i.Health.String()
		}
	}
	c.seen = append(c.seen, line)
}

// expect lets virtual time pass and compares what was reported since the last
// call.
func (c *cluster) expect(after time.Duration, want ...string) {
	c.t.Helper()
	<-time.After(after)
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := strings.Join(c.seen, "\n"); got != strings.Join(want, "\n") {
		c.t.Errorf("after %s: reported\n%s\nwant\n%s", time.Since(c.began), got, strings.Join(want, "\n"))
	}
	c.seen = nil
}

var service = &corev1.Service{
	ObjectMeta: metav1.ObjectMeta{Name: "cart", Namespace: "shop", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}},
	Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
}

// slice has one endpoint for each pod: "name" or "name,unready" or "name,terminating".
func slice(name string, pods ...string) *discoveryv1.EndpointSlice {
	port := int32(8080)
	portName := "http"
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Namespace: "shop", Labels: map[string]string{discoveryv1.LabelServiceName: "cart"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &portName, Port: &port}},
	}
	for i, pod := range pods {
		pod, state, _ := strings.Cut(pod, ",")
		ready, terminating := state == "", state == "terminating"
		serving := ready || terminating
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{fmt.Sprintf("10.0.0.%d", i+1)},
			Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Name: pod},
		})
	}
	return s
}

func (c *cluster) put(s *discoveryv1.EndpointSlice) {
	c.t.Helper()
	slices := c.client.DiscoveryV1().EndpointSlices("shop")
	_, err := slices.Update(c.t.Context(), s, metav1.UpdateOptions{})
	if err != nil {
		_, err = slices.Create(c.t.Context(), s, metav1.CreateOptions{})
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func TestWatchFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, service, slice("cart-1", "a", "b"))
		c.watch()
		c.expect(0, "set a b")
		c.put(slice("cart-1", "a", "b,terminating"))
		c.expect(time.Second, "set a b,draining")
		c.put(slice("cart-1", "a"))
		c.expect(time.Second, "set a")
		c.expect(2*time.Minute, "set a", "set a") // nothing changed: it is still so
		if err := c.client.DiscoveryV1().EndpointSlices("shop").Delete(t.Context(), "cart-1", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		c.expect(time.Second, "set")
		if sets := c.source.Counters.Sets.Load(); sets != 4 {
			t.Errorf("%d sets counted", sets)
		}
	})
}

func TestWatchMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.watch()
		c.expect(0, "set")
		c.put(slice("cart-1", "a"))
		c.expect(time.Second, "set a")
	})
}

func TestWatchMoveBetweenSlices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, service, slice("cart-1", "a", "b"), slice("cart-2", "c"))
		c.watch()
		c.expect(0, "set a b c")
		c.put(slice("cart-1", "a"))
		c.expect(100 * time.Millisecond) // b may come back in another
		c.put(slice("cart-2", "b", "c"))
		c.expect(time.Second, "set a b c")
		c.put(slice("cart-2", "c"))
		c.expect(200 * time.Millisecond)
		c.expect(time.Second, "set a c") // it did not
	})
}

func TestWatchServerAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, service)
		away := errors.New("dial tcp: refused\nwith a second line")
		var failing atomic.Bool
		failing.Store(true)
		c.client.PrependReactor("list", "*", func(clienttesting.Action) (bool, runtime.Object, error) {
			return failing.Load(), nil, away
		})
		c.watch()
		<-time.After(10 * time.Minute)
		synctest.Wait()
		c.mu.Lock()
		if len(c.seen) < 50 || len(c.seen) > 500 {
			t.Errorf("%d reports in 10 minutes", len(c.seen))
		}
		for _, line := range c.seen {
			if line = strings.Replace(line, "endpointslices", "services", 1); line != "error kube: services of namespace shop: no answer since 2000-01-01T00:00:00Z: dial tcp: refused with a second line" {
				t.Errorf("reported %s", line)
				break
			}
		}
		c.seen = nil
		failing.Store(false)
		c.mu.Unlock()
		<-time.After(10*time.Second + time.Millisecond) // the back-off's limit, however long it was away
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		if n := len(c.seen); n == 0 || c.seen[n-1] != "set" {
			t.Errorf("when it was back: %q", c.seen)
		}
	})
}

func TestWatchExternalName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, service, slice("cart-1", "a"))
		c.watch()
		c.expect(0, "set a")
		external := service.DeepCopy()
		external.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "db.example.com"}
		if _, err := c.client.CoreV1().Services("shop").Update(t.Context(), external, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		c.expect(time.Second, `error kube: k8s://shop/cart: an ExternalName service, for "db.example.com": use dns://`)
	})
}

func TestWatchesShareInformers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, service, slice("cart-1", "a"))
		for range 20 {
			c.watch()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.seen) != 20 {
			t.Errorf("%d reports", len(c.seen))
		}
		if lists, watches := c.source.Counters.Lists.Load(), c.source.Counters.Watches.Load(); lists != 2 || watches != 2 {
			t.Errorf("%d lists, %d watches", lists, watches)
		}
		c.source.mu.Lock()
		defer c.source.mu.Unlock()
		object, _, _ := c.source.feeds["shop"].services.GetStore().GetByKey("shop/cart")
		if object.(*corev1.Service).ManagedFields != nil {
			t.Error("managed fields are kept")
		}
	})
}
