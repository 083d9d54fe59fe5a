// Package control is the control plane's loop: it follows the services of the
// configuration, passes changes of hashed sets through their gates, builds the
// bundles of the groups that a change concerns, and publishes them.
//
//	catalog ─ State ─┐                 ┌─ plan.Gate per hashed use
//	Select ── Group ─┼─▶ inbox ─▶ turn ┼─ ambassador.Builder
//	file ──── Apply ─┘  (≤ 10 ms)      └─▶ Publish ─▶ Settled: the push is over
package control

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/server"
	"github.com/attache-mesh/attache/xds/server/ambassador"
	"github.com/attache-mesh/attache/xds/server/plan"
)

// debounce is how long the first change waits for others that come with it.
const debounce = 10 * time.Millisecond

// maxGroups bounds the groups, which clients make by their zones; clients of
// further zones are served as if they had none.
const maxGroups = 10_000

// Publisher sends bundles to groups of clients; *server.Server is one.
type Publisher interface {
	Publish(group string, b *server.Bundle) (generation uint64)
	Reselect()
	Remove(group string)
}

// Catalog is where services are followed; *discovery.Catalog is one.
type Catalog interface {
	Follow(service discovery.Service, changed func(discovery.State)) (stop func())
}

// Options are what a loop tells of. Each function may be nil; they are called
// from the loop, and must not wait.
type Options struct {
	Log *slog.Logger
	// Planned: a change of a hashed set was planned, and let through or held.
	Planned func(ambassador.Use, plan.Plan)
	// Pushed: every client that a change concerned has answered.
	Pushed func(Push)
}

// Loop is the control plane's loop. Its methods may be called from any
// goroutine once Run has begun; Select and Settled also before.
type Loop struct {
	options Options
	config  atomic.Pointer[ambassador.Config]
	inbox   inbox
	pushes  pushes
	calls   chan func()
	ended   chan struct{}

	// What follows belongs to Run's goroutine.
	publisher Publisher
	catalog   Catalog
	builder   *ambassador.Builder
	follows   map[discovery.Service]func()
	uses      map[ambassador.Use]*use
	groups    map[string]*group
	keyring   Keyring
	secrets   map[ambassador.Secret]*secret
	holds     *time.Timer // the next held change that goes on by itself
}

// New makes a loop, which serves nobody before Apply.
func New(o Options) *Loop {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Planned == nil {
		o.Planned = func(ambassador.Use, plan.Plan) {}
	}
	if o.Pushed == nil {
		o.Pushed = func(Push) {}
	}
	l := &Loop{
		options: o, calls: make(chan func()), ended: make(chan struct{}),
		inbox:   newInbox(),
		follows: map[discovery.Service]func(){}, uses: map[ambassador.Use]*use{}, groups: map[string]*group{},
		secrets: map[ambassador.Secret]*secret{},
	}
	l.pushes.tell = o.Pushed
	return l
}

// Run is the loop, until ctx is done. It is called once.
func (l *Loop) Run(ctx context.Context, p Publisher) {
	l.publisher = p
	l.holds = time.NewTimer(time.Hour)
	l.holds.Stop()
	defer close(l.ended)
	defer l.leave()
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case call := <-l.calls:
			call()
		case <-l.inbox.woken:
			if due == nil {
				due = time.After(debounce)
			}
		case <-due:
			due = nil
			l.turn()
		case <-l.holds.C:
			l.expire()
		}
	}
}

// leave stops following.
func (l *Loop) leave() {
	for _, stop := range l.follows {
		stop()
	}
	l.leaveSecrets()
	l.holds.Stop()
}

// do runs f on the loop and waits for it; false if the loop has ended.
func (l *Loop) do(f func()) bool {
	done := make(chan struct{})
	select {
	case l.calls <- func() { f(); close(done) }:
		<-done
		return true
	case <-l.ended:
		return false
	}
}

// Settled is for server.Events: it tells the loop that a publish is over.
func (l *Loop) Settled(s server.Settled) { l.pushes.settled(s) }
