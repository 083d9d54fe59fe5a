package kube

// The source against an API server over HTTP that fails as real ones do.

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/attache-mesh/attache/discovery"
)

// apiServer has one service and one slice, and knows lists and watches.
type apiServer struct {
	t       *testing.T
	address string
	http    *httptest.Server

	mu         sync.Mutex
	version    int
	pods       []string
	status     int           // of every answer, if set
	unstreamed int           // the status that refuses a streamed list
	hold       chan struct{} // lists of services wait for it, if set
	events     []chan string // of watches of slices under way
	selected   string        // the selectors of the last list of slices
	lists      int           // of slices
}

func startAPI(t *testing.T, pods ...string) *apiServer {
	a := &apiServer{t: t, version: 100, pods: pods, address: "127.0.0.1:0", unstreamed: http.StatusUnprocessableEntity}
	a.start()
	t.Cleanup(func() { a.kill() })
	return a
}

func (a *apiServer) start() {
	a.t.Helper()
	listener, err := net.Listen("tcp", a.address)
	if err != nil {
		a.t.Fatal(err)
	}
	a.address = listener.Addr().String()
	a.http = httptest.NewUnstartedServer(a)
	_ = a.http.Listener.Close()
	a.http.Listener = listener
	a.http.Start()
}

// kill ends it as SIGKILL does.
func (a *apiServer) kill() {
	a.mu.Lock()
	for _, e := range a.events {
		close(e)
	}
	a.events = nil
	a.mu.Unlock()
	a.http.CloseClientConnections()
	a.http.Close()
}

// ServeHTTP is http.Handler.
func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	q := r.URL.Query()
	a.mu.Lock()
	status, hold := a.status, a.hold
	a.mu.Unlock()
	switch {
	case status != 0:
		a.refuse(w, status, metav1.StatusReasonUnknown)
	case q.Get("sendInitialEvents") == "true":
		a.refuse(w, a.unstreamed, metav1.StatusReasonUnknown) // no streamed lists, as with an old etcd
	case strings.HasSuffix(r.URL.Path, "/services") && q.Get("watch") == "true":
		a.stream(w, r, nil)
	case strings.HasSuffix(r.URL.Path, "/services"):
		if hold != nil {
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}
		a.list(w, "v1", "ServiceList", service)
	case q.Get("watch") == "true":
		events := make(chan string)
		a.mu.Lock()
		a.events = append(a.events, events)
		a.mu.Unlock()
		a.stream(w, r, events)
		a.mu.Lock()
		a.events = slices.DeleteFunc(a.events, func(e chan string) bool { return e == events })
		a.mu.Unlock()
	default:
		a.mu.Lock()
		a.lists++
		a.selected = q.Get("labelSelector") + " " + q.Get("fieldSelector")
		pods := a.pods
		a.mu.Unlock()
		a.list(w, "discovery.k8s.io/v1", "EndpointSliceList", slice("cart-1", pods...))
	}
}

func (a *apiServer) refuse(w http.ResponseWriter, status int, reason metav1.StatusReason) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(status), Reason: reason, Message: http.StatusText(status),
	})
}

func (a *apiServer) list(w http.ResponseWriter, version, kind string, items ...runtime.Object) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": version, "kind": kind, "items": items,
		"metadata": map[string]string{"resourceVersion": fmt.Sprint(a.version)},
	})
}

func (a *apiServer) stream(w http.ResponseWriter, r *http.Request, events chan string) {
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case event, ok := <-events:
			if !ok {
				return
			}
			fmt.Fprintln(w, event)
			w.(http.Flusher).Flush()
		}
	}
}

// send sends an event to the watch of slices that is under way: to the one after it, if that
// ends before it has read.
func (a *apiServer) send(event string) {
	a.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		var last chan string // without a watch: nobody reads
		a.mu.Lock()
		if n := len(a.events); n > 0 {
			last = a.events[n-1]
		}
		a.mu.Unlock()
		select {
		case last <- event:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	a.t.Fatal("nobody reads the watch")
}

// modified is the event of a slice that now has these pods.
func modified(version int, pods ...string) string {
	s := slice("cart-1", pods...)
	s.TypeMeta = metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"}
	s.ResourceVersion = fmt.Sprint(version)
	text, err := json.Marshal(map[string]any{"type": "MODIFIED", "object": s})
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// watcher is a watch in real time.
type watcher struct {
	t       *testing.T
	source  *Source
	reports chan discovery.Report
}

func (a *apiServer) watch(conf Config) *watcher {
	a.t.Helper()
	conf.REST = &rest.Config{Host: "http://" + a.address}
	conf.Log = slog.New(slog.DiscardHandler)
	s, err := New(conf)
	if err != nil {
		a.t.Fatal(err)
	}
	w := &watcher{a.t, s, make(chan discovery.Report, 10000)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Watch(ctx, discovery.Service{Source: "k8s", Name: "shop/cart", Port: "http"}, func(r discovery.Report) { w.reports <- r })
	}()
	a.t.Cleanup(func() { cancel(); <-done })
	return w
}

// until reads reports up to the one that is as asked; each of the others must be
// a failure or one of the sets that are good too.
func (w *watcher) until(want string, good ...string) {
	w.t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		select {
		case r := <-w.reports:
			got := "error"
			if r.Err == nil {
				var names []string
				for _, i := range r.Set.Instances {
					names = append(names, i.ID)
				}
				got = strings.Join(names, " ")
			}
			if got == want {
				return
			}
			bad := r.Err == nil
			for _, g := range good {
				bad = bad && got != g
			}
			if bad {
				w.t.Fatalf("reported %q on the way to %q", got, want)
			}
		case <-timeout:
			w.t.Fatalf("no report of %q in 30 s", want)
		}
	}
}

func TestVersionForgotten(t *testing.T) {
	a := startAPI(t, "a")
	w := a.watch(Config{})
	w.until("a")
	a.send(modified(101, "a", "b"))
	w.until("a b", "a")
	a.mu.Lock()
	a.version, a.pods = 200, []string{"a", "b", "c"}
	a.mu.Unlock()
	a.send(`{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,"message":"too old resource version"}}`)
	w.until("a b c", "a b")
	if n := w.source.Counters.Failures.Load(); n > 0 {
		t.Errorf("%d failures counted for what client-go mends itself", n)
	}
}

func TestStreamedListsRefused(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusInternalServerError, http.StatusServiceUnavailable} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			a := startAPI(t, "a")
			a.unstreamed = status
			w := a.watch(Config{})
			if r := <-w.reports; r.Err != nil || len(r.Set.Instances) != 1 {
				t.Errorf("%v, %v", r.Set, r.Err)
			}
		})
	}
}

func TestServerKilledAndBack(t *testing.T) {
	a := startAPI(t, "a")
	w := a.watch(Config{})
	w.until("a")
	a.kill()
	w.until("error", "a")
	a.mu.Lock()
	a.version, a.pods = 300, []string{"b"}
	a.mu.Unlock()
	a.start()
	// The watch goes on from the version that it had: the server does not know it.
	a.send(`{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,"message":"too old resource version"}}`)
	w.until("b", "a")
}

func TestRefusedByServer(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusInternalServerError} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			a := startAPI(t, "a")
			a.status = status
			w := a.watch(Config{})
			w.until("error")
			a.mu.Lock()
			a.status = 0
			a.mu.Unlock()
			w.until("a")
		})
	}
}

func TestNotListedYetIsNotEmpty(t *testing.T) {
	a := startAPI(t, "a")
	a.hold = make(chan struct{})
	w := a.watch(Config{Labels: "team=shop", Fields: "metadata.namespace!=kube-system"})
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(10 * time.Millisecond) {
		a.mu.Lock()
		listed, selected := a.lists, a.selected
		a.mu.Unlock()
		if listed > 0 {
			if selected != "team=shop metadata.namespace!=kube-system" {
				t.Errorf("selected %q", selected)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no list of slices")
		}
	}
	select {
	case r := <-w.reports:
		t.Errorf("reported %v, %v before the services were listed", r.Set, r.Err)
	case <-time.After(100 * time.Millisecond):
	}
	close(a.hold)
	w.until("a")
}

func TestKubeconfig(t *testing.T) {
	a := startAPI(t, "a")
	file := filepath.Join(t.TempDir(), "config")
	text := strings.ReplaceAll(`
apiVersion: v1
kind: Config
current-context: other
clusters: [{name: c, cluster: {server: "http://ADDRESS"}}, {name: none, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: secret}}]
contexts: [{name: right, context: {cluster: c, user: u}}, {name: other, context: {cluster: none, user: u}}]
`, "ADDRESS", a.address)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Kubeconfig: file, Context: "right", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.client.DiscoveryV1().EndpointSlices("shop").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Labels[discoveryv1.LabelServiceName] != "cart" {
		t.Errorf("%v, %v", list, err)
	}
}

func TestConfigRefused(t *testing.T) {
	tests := []struct {
		conf Config
		want string
	}{
		{Config{}, "kube: no kubeconfig, and not in a cluster"},
		{Config{Kubeconfig: "/nowhere/config"}, "kube: kubeconfig: "},
		{Config{Context: "c"}, `kube: context "c": needs kubeconfig`},
		{Config{Labels: "a in"}, "kube: labels: "},
		{Config{Fields: "a"}, "kube: fields: "},
		{Config{Refresh: -1}, "kube: refresh: "},
	}
	for _, test := range tests {
		if _, err := New(test.conf); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
	s := &Source{conf: Config{Namespaces: []string{"shop"}}}
	if err := s.Check(discovery.Service{Name: "bank/cart"}); err == nil || !strings.Contains(err.Error(), "namespace: ") {
		t.Errorf("another namespace: %v", err)
	}
	if err := s.Check(discovery.Service{Name: "shop/cart"}); err != nil {
		t.Error(err)
	}
}
