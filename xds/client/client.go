// Package client is the data plane's side of xDS: it asks for resources, reads
// each on its own, puts together what fits, hands it over whole, and tells the
// server truthfully what became of it.
//
//	stream, poll ─▶ protocol ─▶ world ─▶ config.Assemble ─▶ Apply ─▶ ACK, or a NACK that
//	file         ─────────────▶  │ ▲                                 names each resource
//	                             ▼ │                                 and field refused
//	                           cache (disk)
//
// One goroutine (Run) owns all of it; streams, polls and files report to it. What is
// in use stays in use whatever happens to the control plane.
package client

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/client/cache"
	"github.com/attache-mesh/attache/xds/client/loadreport"
	"github.com/attache-mesh/attache/xds/client/rest"
	"github.com/attache-mesh/attache/xds/envoyv3"
	"github.com/attache-mesh/attache/xds/secretfile"
)

// Options are what a client is made with.
type Options struct {
	// Node is sent to every server as it is.
	Node *corev3.Node
	// ADS is the aggregated stream; nil if there is none.
	ADS *config.APISource
	// LDS and CDS say where listeners and clusters come from; SourceInline: there
	// are only static ones.
	LDS, CDS config.Source
	// Layers are those of the runtime that come by RTDS, in their order.
	Layers []Layer
	// Runtime joins the layers that have come, by name, with the static ones. Not
	// called without Layers.
	Runtime func(layers map[string]*structpb.Struct) (envoyv3.Runtime, []envoyv3.Problem)
	// Static gives the static resources as they are under a runtime; called once,
	// and again whenever the runtime changes.
	Static func(envoyv3.Runtime) config.Resources
	// Secrets are the static ones; each has its spec.
	Secrets []config.SecretRef
	// Planes are the clusters that servers may be, by name.
	Planes map[string]config.ControlPlane
	// Decode says how resources are read; its Runtime is the static one.
	Decode envoyv3.Options
	// Apply makes a snapshot live. It may wait; its error joins one for each
	// resource that could not be, each beginning with "listener x: " or
	// "cluster y: ". Called from Run alone.
	Apply func(*config.Snapshot) error
	// LoadReports is where load is reported of all clusters; nil for nowhere.
	LoadReports *config.APISource
	// Loads counts what clusters were asked, those of which keep says yes; nil
	// reports nothing. Called from goroutines of its own.
	Loads func(keep func(cluster string) bool) []loadreport.Cluster
	// Looks has files looked at every ten seconds and nothing else: for worlds whose
	// time stands still while somebody waits for the kernel.
	Looks bool
	// Cache keeps the last good resources on disk; nil keeps none.
	Cache *cache.Dir
	// MaxConnectionAge bounds the life of a connection; 0: no bound.
	MaxConnectionAge time.Duration
	Log              *slog.Logger
}

// Layer is a runtime layer of RTDS.
type Layer struct {
	Name   string
	Source config.Source
}

// Client is one client. Make it with New and call Run; the other methods are for
// any goroutine at any time.
type Client struct {
	o       Options
	log     *slog.Logger
	events  chan func(now time.Time)
	ready   chan struct{}
	running sync.WaitGroup // the feeds
	// staticSecrets are those of the bootstrap by key.
	staticSecrets map[string]*config.SecretSpec

	mu       sync.Mutex // guards all below; never held while Apply runs
	options  envoyv3.Options
	static   config.Resources
	world    *world
	snapshot *config.Snapshot
	feeds    []*feed
	waiting  []*taken // undecided, in the order of arrival
	pending  map[string]string
	disk     disk
	reports  []*report
	held     map[string]*held    // secrets, by key
	files    *secretfile.Watcher // nil until a secret is in a file
	demands  demands

	// scopes and scopedRoutes are where SRDS and its tables come from.
	scopes, scopedRoutes config.Source
	// polled are the control planes that are asked by HTTP, by their cluster.
	polled map[string]*rest.Plane

	dirty bool
	// renamed: what static resources and those that are gone name may have changed;
	// asked: which kinds subscribe asked for. See asksTheSame.
	renamed  bool
	asked    [kindCount]bool
	applied  time.Time
	retry    time.Time // zero: nothing to retry
	troubles map[string]string
	started  time.Time
	isReady  bool
	// filters says what names the configurations of filters.
	filters map[string]filterNaming
	count   counts
}

// New checks what can be checked before anything is dialled: that every server
// named is known.
func New(o Options) (*Client, error) {
	c := &Client{
		o: o, log: o.Log, options: o.Decode, world: newWorld(), renamed: true,
		events: make(chan func(time.Time), 16), ready: make(chan struct{}),
		pending: map[string]string{}, troubles: map[string]string{}, held: map[string]*held{},
		staticSecrets: map[string]*config.SecretSpec{}, demands: newDemands(), polled: map[string]*rest.Plane{},
	}
	for i := range o.Secrets {
		c.staticSecrets[o.Secrets[i].Key] = o.Secrets[i].Own
	}
	c.static = o.Static(o.Decode.Runtime)
	if err := c.checkSources(); err != nil {
		return nil, err
	}
	return c, nil
}

// checkSources makes sure that the bootstrap's own sources can be dialled.
func (c *Client) checkSources() error {
	if c.o.ADS != nil {
		if _, _, err := c.reach(c.o.ADS); err != nil {
			return errors.Join(errors.New("dynamic_resources.ads_config"), err)
		}
	}
	for name, s := range c.bootSources() {
		switch {
		case s.Kind == config.SourceADS && c.o.ADS == nil:
			return errors.New(name + ": ads is asked for, and there is no dynamic_resources.ads_config")
		case s.Kind == config.SourceAPI:
			if _, _, err := c.reach(s.API); err != nil {
				return errors.Join(errors.New(name), err)
			}
		}
	}
	return nil
}

// bootSources are the sources that the bootstrap itself names, by path.
func (c *Client) bootSources() map[string]config.Source {
	all := map[string]config.Source{}
	if c.o.LDS.Kind != config.SourceInline {
		all["dynamic_resources.lds_config"] = c.o.LDS
	}
	if c.o.CDS.Kind != config.SourceInline {
		all["dynamic_resources.cds_config"] = c.o.CDS
	}
	for _, l := range c.o.Layers {
		all["layered_runtime: layer "+l.Name] = l.Source
	}
	return all
}

// Ready is closed when everything that is needed at first is there and live, or
// was waited for long enough.
func (c *Client) Ready() <-chan struct{} { return c.ready }

// debounce is the least time between two assemblies: the first update after a
// rest is used at once, those that follow it closely are used together.
const debounce = 50 * time.Millisecond

// Run works until ctx is done, and then returns when all that it started has
// ended. What was applied stays.
func (c *Client) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer c.running.Wait()
	defer cancel()
	c.mu.Lock()
	c.begin(ctx, time.Now())
	c.settle(ctx)
	c.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			c.finish()
			c.endDemands()
			c.endPolls()
			return
		case <-c.demands.wake:
			c.mu.Lock()
		case event := <-c.events:
			c.mu.Lock()
			event(time.Now())
			c.drain()
		case <-timer.C:
			c.mu.Lock()
		}
		c.settle(ctx)
		next := c.next()
		c.mu.Unlock()
		timer.Reset(next)
	}
}

// drain takes the events that have come meanwhile, so that a burst is assembled
// once.
func (c *Client) drain() {
	for range cap(c.events) {
		select {
		case event := <-c.events:
			event(time.Now())
		default:
			return
		}
	}
}

// settle brings everything to what is known: subscriptions, time-outs, the
// snapshot, the answers.
func (c *Client) settle(ctx context.Context) {
	now := time.Now()
	c.fromDiskIfAlone(now)
	c.takeDemands(now)
	c.subscribe(ctx, now)
	if c.expire(now) {
		c.subscribe(ctx, now) // the next kind may be asked for now
	}
	if c.dirty && c.due(now) || c.retryDue(now) {
		c.assemble(now)
		c.subscribe(ctx, time.Now()) // what is not used any more is not asked for
		c.reporting(ctx)
	}
	c.decide(time.Now())
	if c.satisfy(time.Now()); c.renamed {
		c.subscribe(ctx, time.Now()) // what did not come is not asked for
	}
	c.becomeReady()
	for _, f := range c.feeds {
		f.flush()
	}
	c.keep(time.Now())
}

func (c *Client) due(now time.Time) bool      { return now.Sub(c.applied) >= debounce }
func (c *Client) retryDue(now time.Time) bool { return !c.retry.IsZero() && !now.Before(c.retry) }

// next is how long nothing needs to be done if nothing happens.
func (c *Client) next() time.Duration {
	at := time.Now().Add(time.Hour)
	earlier := func(t time.Time) {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	if c.dirty {
		earlier(c.applied.Add(debounce))
	}
	earlier(c.retry)
	earlier(c.disk.next())
	for _, t := range c.waiting {
		earlier(t.due)
	}
	for _, d := range c.demands.pending {
		earlier(d.until)
	}
	for k := range c.world {
		earlier(c.world[k].deadline)
		for _, e := range c.world[k].late {
			earlier(e.deadline)
		}
		for _, e := range c.world[k].aging {
			earlier(e.stale.at)
		}
	}
	return max(0, time.Until(at))
}

// report hands an event to Run; it gives up when ctx is done.
func (c *Client) report(ctx context.Context, event func(now time.Time)) {
	select {
	case c.events <- event:
	case <-ctx.Done():
	}
}
