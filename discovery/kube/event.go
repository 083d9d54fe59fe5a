package kube

// Events: what `kubectl get events` shows.

import (
	"context"
	"os"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"

	"github.com/attache-mesh/attache/discovery"
)

// Bounds of events. Equal ones are one Event with a count; more than
// similarEvents of one reason on one object become one that says so; and an
// object gets eventBurst at once and then one every five minutes.
const (
	similarEvents  = 10
	similarSeconds = 600
	eventBurst     = 25
	eventRate      = 1. / 300
	// maxEvent is the most bytes of a message: the API server's 1,024 less what
	// is written before one that stands for several.
	maxEvent = 980
)

// Object is what an Event is about.
type Object struct {
	Kind, Namespace, Name string
	UID                   string // may be empty
}

// OwnPod is the pod that the program runs in, as POD_NAME, POD_NAMESPACE and
// POD_UID say (fieldRef in its manifest); false without a name and a namespace.
func OwnPod() (Object, bool) {
	o := Object{Kind: "Pod", Namespace: os.Getenv("POD_NAMESPACE"), Name: os.Getenv("POD_NAME"), UID: os.Getenv("POD_UID")}
	return o, o.Namespace != "" && o.Name != ""
}

// ObjectOf is the Service of a reference that Check takes; false if it does not.
func (s *Source) ObjectOf(service discovery.Service) (Object, bool) {
	r, err := s.parse(service)
	if err != nil {
		return Object{}, false
	}
	return Object{Kind: "Service", Namespace: r.namespace, Name: r.name}, true
}

// Reporter writes Events, in the background. The program needs create and patch
// on events where the objects are. Any goroutine.
type Reporter struct {
	broadcaster record.EventBroadcaster
	recorder    record.EventRecorder
	cancel      context.CancelFunc
}

// NewReporter makes a reporter for a component; Close it.
func (s *Source) NewReporter(component string) *Reporter {
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logr.FromSlogHandler(s.conf.Log.Handler())))
	log := klog.FromContext(ctx)
	b := record.NewBroadcaster(record.WithContext(ctx), record.WithCorrelatorOptions(record.CorrelatorOptions{
		MaxEvents: similarEvents, MaxIntervalInSeconds: similarSeconds, BurstSize: eventBurst, QPS: eventRate,
	}))
	b.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: s.client.CoreV1().Events("")})
	return &Reporter{b, b.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: component}).WithLogger(log), cancel}
}

// Warn writes a warning. It does not wait: where the API server is away and too
// many are pending, the newest is dropped.
func (r *Reporter) Warn(on Object, reason, message string) {
	if len(message) > maxEvent {
		message = strings.ToValidUTF8(message[:maxEvent-3], "") + "..."
	}
	r.recorder.Event(&corev1.ObjectReference{
		APIVersion: "v1", Kind: on.Kind, Namespace: on.Namespace, Name: on.Name, UID: types.UID(on.UID),
	}, corev1.EventTypeWarning, reason, message)
}

// Close ends it; what is pending is dropped.
func (r *Reporter) Close() {
	r.cancel()
	r.broadcaster.Shutdown()
}
