// Package resources follows resources of one kind in Kubernetes and writes their
// status. It knows specs and status as JSON alone; what they mean is not its
// concern.
//
//	API server ─▶ informer per namespace ─▶ Objects ─▶ changed()
//	     ▲                                                │
//	     └──────────────── status ◀─────────── WriteStatus ◀
package resources

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// settle is how long a change is waited on for others that come with it.
const settle = 100 * time.Millisecond

// Config says what is followed.
type Config struct {
	REST *rest.Config
	// Resource is the kind. The program needs get, list and watch on it, and
	// patch on its status.
	Resource schema.GroupVersionResource
	// Versions are those of the kind that are understood, the best first; none:
	// that of Resource. The first that the cluster has is followed.
	Versions []string
	// Namespaces are followed; none: all.
	Namespaces []string
	// Most bounds what Objects returns; 0: all.
	Most int
	// Slim, if set, drops from a spec what nobody reads.
	Slim func(spec map[string]any)
	// Log gets client-go's lines; default slog.Default().
	Log *slog.Logger
}

// Watcher follows the resources. Any goroutine.
type Watcher struct {
	conf      Config
	client    dynamic.Interface
	informers []cache.SharedIndexInformer
	handlers  []cache.ResourceEventHandlerRegistration
	wake      chan struct{}
	trouble   atomic.Pointer[string]
}

// Object is one resource. It is immutable.
type Object struct {
	Namespace, Name, UID string
	// Version is the API server's, and another with each write.
	Version    string
	Generation int64
	Created    time.Time
	// Spec and Status are JSON; null if there is none.
	Spec, Status []byte
}

// New makes a watcher; nothing is sent before Run.
func New(conf Config) (*Watcher, error) {
	if conf.Log == nil {
		conf.Log = slog.Default()
	}
	config := rest.CopyConfig(conf.REST)
	config.UserAgent = "attache-control"
	// Status is written one resource after the other: so many writes a second,
	// and so many at once after a quiet time.
	config.QPS, config.Burst = 10, 50
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	if len(conf.Versions) == 0 {
		conf.Versions = []string{conf.Resource.Version}
	}
	w := &Watcher{conf: conf, client: client, wake: make(chan struct{}, 1)}
	if len(conf.Namespaces) == 0 {
		w.add(metav1.NamespaceAll)
	}
	for _, namespace := range conf.Namespaces {
		w.add(namespace)
	}
	return w, nil
}

// lister lists and watches one namespace. A kind that the cluster does not have
// is a kind without resources, as long as there was none: one whose definition
// goes while it is in use is an error, and what was known stays.
type lister struct {
	*cache.ListWatch
	watcher   *Watcher
	namespace string
	version   atomic.Pointer[string] // that was listed; nil: none yet
}

// IsWatchListSemanticsUnSupported keeps client-go to plain lists.
func (l *lister) IsWatchListSemanticsUnSupported() bool { return true }

func (l *lister) in(version string) dynamic.ResourceInterface {
	kind := l.watcher.conf.Resource
	kind.Version = version
	return l.watcher.client.Resource(kind).Namespace(l.namespace)
}

func (l *lister) list(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	versions := l.watcher.conf.Versions
	var list *unstructured.UnstructuredList
	var err error
	for i := range versions {
		if list, err = l.in(versions[i]).List(ctx, o); !apierrors.IsNotFound(err) {
			if err == nil {
				l.version.Store(&versions[i])
			}
			break
		}
	}
	l.watcher.say(err)
	if apierrors.IsNotFound(err) && l.version.Load() == nil {
		return &unstructured.UnstructuredList{Object: map[string]any{}}, nil
	}
	if err != nil {
		return nil, err
	}
	return list, nil
}

func (l *lister) watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	version := l.watcher.conf.Versions[0]
	if listed := l.version.Load(); listed != nil {
		version = *listed
	}
	return l.in(version).Watch(ctx, o)
}

// say keeps why there is no answer, and logs it once.
func (w *Watcher) say(err error) {
	if err == nil {
		w.trouble.Store(nil)
		return
	}
	text := err.Error()
	if before := w.trouble.Swap(&text); before == nil || *before != text {
		w.conf.Log.Warn("no answer about "+w.conf.Resource.Resource, "error", err)
	}
}

// Trouble is why the API server says nothing about the resources; "" if it does.
func (w *Watcher) Trouble() string {
	if text := w.trouble.Load(); text != nil {
		return *text
	}
	return ""
}

func (w *Watcher) add(namespace string) {
	l := &lister{watcher: w, namespace: namespace}
	l.ListWatch = &cache.ListWatch{ListWithContextFunc: l.list, WatchFuncWithContext: l.watch}
	informer := cache.NewSharedIndexInformer(l, &unstructured.Unstructured{}, 0, cache.Indexers{})
	_ = informer.SetTransform(w.slim)                                                               // not running yet: cannot fail
	_ = informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {}) // say has told
	handler, _ := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{                         // nor stopped
		AddFunc:    func(any) { w.poke() },
		UpdateFunc: func(_, _ any) { w.poke() },
		DeleteFunc: func(any) { w.poke() },
	})
	w.informers, w.handlers = append(w.informers, informer), append(w.handlers, handler)
}

// slim drops what nobody reads.
func (w *Watcher) slim(o any) (any, error) {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return o, nil
	}
	metadata, _ := u.Object["metadata"].(map[string]any)
	delete(metadata, "managedFields")
	delete(metadata, "annotations")
	if spec, ok := u.Object["spec"].(map[string]any); ok && w.conf.Slim != nil {
		w.conf.Slim(spec)
	}
	return u, nil
}

func (w *Watcher) poke() {
	select {
	case w.wake <- struct{}{}:
	default: // it has been told
	}
}

// Run follows the resources until ctx is done and calls changed, one call at a
// time, after a change: first when everything is listed.
func (w *Watcher) Run(ctx context.Context, changed func()) {
	ctx = klog.NewContext(ctx, logr.FromSlogHandler(w.conf.Log.Handler()))
	var running sync.WaitGroup
	defer running.Wait()
	for _, informer := range w.informers {
		running.Go(func() { informer.RunWithContext(ctx) })
	}
	for _, handler := range w.handlers {
		if !cache.WaitForCacheSync(ctx.Done(), handler.HasSynced) {
			return
		}
	}
	changed()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(settle):
		}
		select { // what came meanwhile is seen now
		case <-w.wake:
		default:
		}
		changed()
	}
}

// Objects are the resources as they are now, the oldest first, and how many there
// are beyond Config.Most, which are the newest.
func (w *Watcher) Objects() (all []Object, beyond int) {
	for _, informer := range w.informers {
		for _, o := range informer.GetStore().List() {
			if u, ok := o.(*unstructured.Unstructured); ok {
				all = append(all, objectOf(u))
			}
		}
	}
	slices.SortFunc(all, func(a, b Object) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	if w.conf.Most > 0 {
		beyond = max(0, len(all)-w.conf.Most)
	}
	return all[:len(all)-beyond], beyond
}

func objectOf(u *unstructured.Unstructured) Object {
	o := Object{
		Namespace: u.GetNamespace(), Name: u.GetName(), UID: string(u.GetUID()), Version: u.GetResourceVersion(),
		Generation: u.GetGeneration(), Created: u.GetCreationTimestamp().Time,
	}
	o.Spec, _ = json.Marshal(u.Object["spec"]) // it was JSON
	o.Status, _ = json.Marshal(u.Object["status"])
	return o
}

// String is NAMESPACE/NAME.
func (o *Object) String() string { return o.Namespace + "/" + o.Name }

// WriteStatus merges status, which becomes JSON, into that of o. With exactly, o
// must still be as it was seen: lists are replaced whole, and others may write to
// them, too. A resource that is gone, or is another by now, is no error, and
// nothing is written.
func (w *Watcher) WriteStatus(ctx context.Context, o *Object, status any, exactly bool) (wrote bool, err error) {
	metadata := map[string]any{"uid": o.UID}
	if exactly {
		metadata["resourceVersion"] = o.Version
	}
	patch, err := json.Marshal(map[string]any{"metadata": metadata, "status": status})
	if err != nil {
		return false, err
	}
	_, err = w.client.Resource(w.conf.Resource).Namespace(o.Namespace).Patch(ctx, o.Name, "application/merge-patch+json", patch, metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) && (exactly || strings.Contains(err.Error(), "uid")) { // gone, and perhaps there again
		return false, nil
	}
	return err == nil, err
}
