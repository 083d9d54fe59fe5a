// Package kube follows services in Kubernetes: informers on EndpointSlices and
// Services, one pair for each namespace that is asked about, feed every watch of
// a service there.
//
//	API server ─▶ feed (a namespace: slices, services) ─▶ members ─▶ discovery.Set
//	                │ away? since when?                      │ port, health, identity
//	                └──────────────▶ Watch ◀─────────────────┘ settled
package kube

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/attache-mesh/attache/discovery"
)

// Config says where the API server is and how much of it is read. The zero value
// is the cluster that the program runs in.
type Config struct {
	// Kubeconfig is the path of a kubeconfig file, and Context which of its
	// contexts to use (default: its current one). Without a path the pod's own
	// service account is used.
	Kubeconfig, Context string
	// REST is used instead, and Client instead of that, if set.
	REST   *rest.Config
	Client kubernetes.Interface

	// Namespaces are the only ones that a service may be asked of; none: any.
	// The program needs get, list and watch on endpointslices and services there.
	Namespaces []string
	// ClusterWide watches all namespaces by one pair of informers instead of one
	// pair for each namespace that is asked about: fewer watches, more memory.
	ClusterWide bool
	// Labels and Fields narrow what is read, as kubectl's --selector and
	// --field-selector do. Services and their slices both must match (slices carry
	// their service's labels).
	Labels, Fields string

	// Settle is how long a change is waited on for others that belong to it: an
	// endpoint that moves from one slice to another is two changes. Default 50 ms;
	// negative: none.
	Settle time.Duration
	// Refresh is how often a set that has not changed is reported again while the
	// API server is known to be there. Default 30 s.
	Refresh time.Duration
	// ClusterDomain is the end of the names of pods that have one. Default
	// "cluster.local".
	ClusterDomain string

	// Log gets what is worth a line, and client-go's own lines; default
	// slog.Default().
	Log *slog.Logger
}

// Source is Kubernetes as a source of instances. It runs nothing until the first
// Watch and nothing after the last. Any goroutine.
type Source struct {
	conf   Config
	client kubernetes.Interface

	mu    sync.Mutex
	feeds map[string]*feed // by namespace; "" is all

	// Counters are what all watches came to.
	Counters Counters
}

// Counters count since the start. Any goroutine.
type Counters struct {
	// Lists and Watches are requests that were answered, Failures those that were
	// not.
	Lists, Watches, Failures atomic.Uint64
	// Sets are sets reported that differ from the one before.
	Sets atomic.Uint64
	// LeftOut are endpoints, counted at each change, that cannot be used: a name
	// for an address, no port.
	LeftOut atomic.Uint64
}

// New checks a configuration and makes a client. It does not ask the API server
// anything, so that one that is away does not keep the control plane from
// starting. Errors name the field.
func New(conf Config) (*Source, error) {
	conf.Settle = cmp.Or(conf.Settle, 50*time.Millisecond)
	conf.Refresh = cmp.Or(conf.Refresh, 30*time.Second)
	conf.ClusterDomain = cmp.Or(conf.ClusterDomain, "cluster.local")
	if conf.Log == nil {
		conf.Log = slog.Default()
	}
	if conf.Refresh < 0 {
		return nil, fmt.Errorf("kube: refresh: %s is less than 0", conf.Refresh)
	}
	if _, err := labels.Parse(conf.Labels); err != nil {
		return nil, fmt.Errorf("kube: labels: %w", err)
	}
	if _, err := fields.ParseSelector(conf.Fields); err != nil {
		return nil, fmt.Errorf("kube: fields: %w", err)
	}
	client, err := connect(&conf)
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	return &Source{conf: conf, client: client, feeds: map[string]*feed{}}, nil
}

// Check refuses a service that Watch could not follow, naming the part of the
// reference that is wrong: to tell a configuration's author at once.
func (s *Source) Check(service discovery.Service) error {
	_, err := s.parse(service)
	return err
}

// Watch is discovery.Source's. A refused reference is reported once.
func (s *Source) Watch(ctx context.Context, service discovery.Service, report func(discovery.Report)) {
	ref, err := s.parse(service)
	if err != nil {
		report(discovery.Report{Err: err})
		<-ctx.Done()
		return
	}
	f := s.join(ref.namespace)
	defer s.leave(f)
	w := &watch{source: s, feed: f, ref: ref, report: report, wake: make(chan struct{}, 1)}
	f.add(w)
	defer f.remove(w)
	w.run(ctx)
}
