package discovery

// One watch of a service, shared by all who follow it.

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// linger is how long a watch outlives its last follower, so that a configuration
// that is read again, or a sidecar that comes back, finds it warm.
const linger = 10 * time.Second

// Catalog holds what is known of services, from several sources. Any goroutine.
type Catalog struct {
	sources map[string]Mount
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex // guards watches and each watch's followers
	watches map[Service]*watch
}

// Mount is a source in a catalog, and how far it is believed.
type Mount struct {
	Source  Source
	Options Options
}

// Checker is what a Source is as well if not every service makes sense to it.
type Checker interface {
	// Check refuses a service that can never be answered, by name, port or
	// parameter. Any goroutine.
	Check(service Service) error
}

// NewCatalog makes a catalog of sources by scheme; its options must pass Check.
// It does nothing until someone follows a service.
func NewCatalog(sources map[string]Mount) *Catalog {
	ctx, cancel := context.WithCancel(context.Background())
	return &Catalog{sources: maps.Clone(sources), ctx: ctx, cancel: cancel, watches: map[Service]*watch{}}
}

// Close ends all watches and returns when they have ended. No follower is told
// anything afterwards; Follow then does nothing.
func (c *Catalog) Close() {
	c.mu.Lock()
	c.cancel()
	c.mu.Unlock()
	c.running.Wait()
}

// Check refuses a service whose source is not in the catalog or that its source
// can never answer.
func (c *Catalog) Check(service Service) error {
	mount, ok := c.sources[service.Source]
	if !ok {
		return fmt.Errorf("%s: no source %q is configured (there are %q)", service, service.Source, slices.Sorted(maps.Keys(c.sources)))
	}
	if checker, ok := mount.Source.(Checker); ok {
		return checker.Check(service)
	}
	return nil
}

// Follow calls changed with the service's state once there is one, and then
// whenever its set or its kind changes, until stop. Calls of one changed come one
// at a time and in order, from the goroutine of the service's watch: it must not
// block for long, and may call Follow and stop. The first follower starts the
// watch; it ends some seconds after the last has left. A service that Check
// refuses is told as Failed. After stop has returned no call begins. Stop may be
// called more than once.
func (c *Catalog) Follow(service Service, changed func(State)) (stop func()) {
	f := &follower{changed: changed}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return func() {}
	}
	w := c.watches[service]
	if w == nil {
		w = c.start(service)
	}
	w.followers[f] = true
	w.nudge()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(w.followers, f)
		w.nudge()
	}
}

// Synced waits until every one of services has answered once or failed. They
// are followed meanwhile, so it starts what nobody has started. When ctx ends
// first, the error names what is missing.
func (c *Catalog) Synced(ctx context.Context, services []Service) error {
	synced := make(chan struct{}, len(services))
	for _, s := range services {
		once := sync.OnceFunc(func() { synced <- struct{}{} })
		stop := c.Follow(s, func(State) { once() })
		defer stop()
	}
	for range services {
		select {
		case <-synced:
		case <-c.ctx.Done():
			return fmt.Errorf("discovery: closed while waiting for first answers: %w", c.ctx.Err())
		case <-ctx.Done():
			return unsynced(c.Unsynced(services), ctx.Err())
		}
	}
	return nil
}

func unsynced(missing []Service, err error) error {
	if len(missing) == 0 { // the last one came together with the end
		return nil
	}
	return fmt.Errorf("discovery: no first answer for %d services, %s among them: %w", len(missing), missing[0], err)
}
