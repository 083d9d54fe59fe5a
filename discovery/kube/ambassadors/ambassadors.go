// Package ambassadors follows attache-control's Ambassadors in Kubernetes and
// writes their status, if it differs. It knows their specs as JSON alone.
package ambassadors

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/attache-mesh/attache/discovery/kube/resources"
)

// MaxObjects bounds what is kept; resources beyond, the newest, are not served.
const MaxObjects = 5000

// Config says what is followed.
type Config struct {
	REST *rest.Config
	// Resource is the kind. The program needs get, list and watch on it, and
	// patch on its status.
	Resource schema.GroupVersionResource
	// Namespaces are followed; none: all.
	Namespaces []string
	// Log gets client-go's lines; default slog.Default().
	Log *slog.Logger
}

// Watcher follows the resources. Any goroutine.
type Watcher struct{ *resources.Watcher }

// Object is one resource. It is immutable.
type Object struct {
	resources.Object
	// Status is what the API server has; the zero Status if nobody wrote one.
	Status Status
}

// New makes a watcher; nothing is sent before Run.
func New(conf Config) (*Watcher, error) {
	w, err := resources.New(resources.Config{REST: conf.REST, Resource: conf.Resource, Namespaces: conf.Namespaces, Most: MaxObjects, Log: conf.Log})
	if err != nil {
		return nil, err
	}
	return &Watcher{w}, nil
}

// Objects are the resources as they are now, the oldest first, and how many there
// are beyond MaxObjects.
func (w *Watcher) Objects() (all []Object, beyond int) {
	objects, beyond := w.Watcher.Objects()
	for _, o := range objects {
		one := Object{Object: o}
		_ = json.Unmarshal(o.Status, &one.Status) // what is not ours is not read
		all = append(all, one)
	}
	return all, beyond
}

// WriteStatus makes s the status of o, unless it is already: a write that changes
// nothing is not sent. A resource that is gone is no error.
func (w *Watcher) WriteStatus(ctx context.Context, o *Object, s Status) (wrote bool, err error) {
	s = s.after(o.Status, time.Now())
	if s.Same(o.Status) {
		return false, nil
	}
	return w.Watcher.WriteStatus(ctx, &o.Object, s, false)
}
