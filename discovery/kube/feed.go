package kube

// What is known of a namespace: its services and slices, kept by informers, and
// whether the API server is there to say so.

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// feed is a namespace, or all. Any goroutine.
type feed struct {
	source    *Source
	namespace string
	users     int // guarded by source.mu
	stop      context.CancelFunc
	ended     sync.WaitGroup

	slices, services cache.SharedIndexInformer
	listed           []cache.DoneChecker

	mu      sync.Mutex
	watches map[string]map[*watch]struct{} // by "namespace/service"
	trouble [2]trouble                     // of slices, services
}

// trouble is why an informer gets no answer, and since when; no error: it does.
type trouble struct {
	err   error
	since time.Time
}

// join finds or starts the feed of a namespace.
func (s *Source) join(namespace string) *feed {
	if s.conf.ClusterWide {
		namespace = metav1.NamespaceAll
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.feeds[namespace]
	if f == nil {
		f = s.start(namespace)
		s.feeds[namespace] = f
	}
	f.users++
	return f
}

// leave ends a feed after its last user.
func (s *Source) leave(f *feed) {
	s.mu.Lock()
	f.users--
	last := f.users == 0
	if last {
		delete(s.feeds, f.namespace)
	}
	s.mu.Unlock()
	if last {
		f.stop()
		f.ended.Wait()
	}
}

func (s *Source) start(namespace string) *feed {
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logr.FromSlogHandler(s.conf.Log.Handler())))
	f := &feed{source: s, namespace: namespace, stop: cancel, watches: map[string]map[*watch]struct{}{}}
	slices := s.client.DiscoveryV1().EndpointSlices(namespace)
	f.slices = f.informer(0, &discoveryv1.EndpointSlice{}, slim,
		func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return slices.List(ctx, o) }, slices.Watch)
	services := s.client.CoreV1().Services(namespace)
	f.services = f.informer(1, &corev1.Service{}, slim,
		func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return services.List(ctx, o) }, services.Watch)
	for _, informer := range []cache.SharedIndexInformer{f.slices, f.services} {
		f.ended.Go(func() { informer.RunWithContext(ctx) })
	}
	return f
}

// informer makes one of the two.
func (f *feed) informer(kind int, of runtime.Object, transform cache.TransformFunc,
	list func(context.Context, metav1.ListOptions) (runtime.Object, error),
	watch func(context.Context, metav1.ListOptions) (apiwatch.Interface, error),
) cache.SharedIndexInformer {
	conf, counters := &f.source.conf, &f.source.Counters
	narrow := func(o metav1.ListOptions) metav1.ListOptions {
		o.LabelSelector, o.FieldSelector = conf.Labels, conf.Fields
		return o
	}
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return ask(ctx, f, kind, false, &counters.Lists, func() (runtime.Object, error) { return list(ctx, narrow(o)) })
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			streamed := o.SendInitialEvents != nil
			return ask(ctx, f, kind, streamed, &counters.Watches, func() (apiwatch.Interface, error) { return watch(ctx, narrow(o)) })
		},
	}
	informer := cache.NewSharedIndexInformerWithOptions(cache.ToListWatcherWithWatchListSemantics(lw, f.source.client), of,
		cache.SharedIndexInformerOptions{Indexers: cache.Indexers{byService: serviceOf}})
	_ = informer.SetTransform(transform)                                                            // not running yet: cannot fail
	_ = informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {}) // answered has told
	handler, _ := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{                         // nor stopped
		AddFunc:    f.changed,
		UpdateFunc: func(_, now any) { f.changed(now) },
		DeleteFunc: f.changed,
	})
	f.listed = append(f.listed, handler.HasSyncedChecker())
	return informer
}

// ask sends a request until it is answered. client-go would try again by itself,
// but tells nobody, and waits for up to a minute once the server has been away
// for long. What is for client-go to answer goes to it: a version that the server
// forgot, and a streamed list that it refuses, after which a plain one is asked.
func ask[T any](ctx context.Context, f *feed, kind int, streamed bool, answers *atomic.Uint64, send func() (T, error)) (T, error) {
	for failures := 0; ; failures++ {
		answer, err := send()
		if forClientGo(err) || streamed && refused(err) {
			return answer, err
		}
		f.answered(ctx, kind, err)
		if err == nil {
			answers.Add(1)
			return answer, nil
		}
		if !sleep(ctx, backoff(failures)) {
			return answer, err
		}
	}
}

const (
	minBackoff = 500 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// backoff is full jitter: uniform up to a limit that doubles.
func backoff(failures int) time.Duration {
	limit := maxBackoff
	if failures < 16 {
		limit = min(limit, minBackoff<<failures)
	}
	return max(rand.N(limit), 10*time.Millisecond)
}

// slim drops what nobody here reads: most of an object's bytes.
func slim(object any) (any, error) {
	if m, err := meta.Accessor(object); err == nil {
		m.SetManagedFields(nil)
		m.SetAnnotations(nil)
		m.SetOwnerReferences(nil)
		m.SetFinalizers(nil)
	}
	switch o := object.(type) {
	case *discoveryv1.EndpointSlice:
		o.Labels = map[string]string{discoveryv1.LabelServiceName: o.Labels[discoveryv1.LabelServiceName]}
		for i := range o.Endpoints {
			o.Endpoints[i].DeprecatedTopology = nil
		}
	case *corev1.Service:
		o.Labels = nil
		o.Status = corev1.ServiceStatus{}
		o.Spec = corev1.ServiceSpec{Type: o.Spec.Type, Ports: o.Spec.Ports, IPFamilies: o.Spec.IPFamilies, ExternalName: o.Spec.ExternalName}
	}
	return object, nil
}

const byService = "service"

// serviceOf is the key of the service that an object belongs to.
func serviceOf(object any) ([]string, error) {
	switch o := object.(type) {
	case *discoveryv1.EndpointSlice:
		return []string{o.Namespace + "/" + o.Labels[discoveryv1.LabelServiceName]}, nil
	case *corev1.Service:
		return []string{o.Namespace + "/" + o.Name}, nil
	}
	return nil, fmt.Errorf("kube: a %T among services and slices", object)
}

// changed wakes the watches of the service that an object belongs to.
func (f *feed) changed(object any) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	keys, _ := serviceOf(object)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range keys {
		for w := range f.watches[key] {
			w.poke()
		}
	}
}

// answered notes how a request went, and wakes all watches when that is news.
func (f *feed) answered(ctx context.Context, kind int, err error) {
	if ctx.Err() != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t := &f.trouble[kind]
	switch {
	case err == nil && t.err == nil:
		return
	case err == nil:
		*t = trouble{}
	default:
		f.source.Counters.Failures.Add(1)
		if t.err == nil {
			t.since = time.Now()
		}
		t.err = err
	}
	for _, of := range f.watches {
		for w := range of {
			w.poke()
		}
	}
}

// forClientGo knows the errors that are answered by asking in another way.
func forClientGo(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) ||
		apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge)
}

// refused reports whether the server was there and did not want to, other than
// for being busy.
func refused(err error) bool {
	_, answered := errors.AsType[*apierrors.StatusError](err)
	return answered && !apierrors.IsTooManyRequests(err)
}

// away is why what is known may be out of date; nil if it is not.
func (f *feed) away() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for kind, name := range []string{"endpointslices", "services"} {
		if t := f.trouble[kind]; t.err != nil {
			return &Error{Kind: name, Namespace: f.namespace, Since: t.since, Err: t.err}
		}
	}
	return nil
}

func (f *feed) add(w *watch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := w.ref.namespace + "/" + w.ref.name
	if f.watches[key] == nil {
		f.watches[key] = map[*watch]struct{}{}
	}
	f.watches[key][w] = struct{}{}
}

func (f *feed) remove(w *watch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := w.ref.namespace + "/" + w.ref.name
	delete(f.watches[key], w)
	if len(f.watches[key]) == 0 {
		delete(f.watches, key)
	}
}

// Error is why the API server does not say what is in a namespace.
type Error struct {
	Kind      string // what it was asked for
	Namespace string // "" for all
	Since     time.Time
	Err       error
}

func (e *Error) Error() string {
	where := "all namespaces"
	if e.Namespace != "" {
		where = "namespace " + e.Namespace
	}
	text := strings.ToValidUTF8(strings.Join(strings.Fields(e.Err.Error()), " "), "")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return fmt.Sprintf("kube: %s of %s: no answer since %s: %s", e.Kind, where, e.Since.UTC().Format(time.RFC3339), text)
}

// Unwrap is what client-go said.
func (e *Error) Unwrap() error { return e.Err }
