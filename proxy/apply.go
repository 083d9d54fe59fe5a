package proxy

import (
	"errors"
	"maps"
	"reflect"
	"slices"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/listener"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Apply makes a snapshot live, in the order of make before break: open the
// clusters, compile the route tables, build the rooms of listeners, publish,
// and only then retire what nobody asks for any more. Its work is that of what
// changed; what has not has the same pointer as in the snapshot before.
// Connections of listeners and hosts that stay are untouched: live rooms take
// another route table between two requests.
//
// What the world refuses (a port in use) does not hold up the rest: what stood
// before goes on. Each such refusal is a config.Problem in the error, see
// Problems. Any goroutine; one at a time, the others wait.
func (s *Server) Apply(snap *config.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &update{Server: s, snap: snap, first: s.applied.Load() == nil}
	s.applying.Store(snap)
	a.openClusters()
	a.compileTables()
	a.freeAddresses()
	for _, asked := range snap.Listeners {
		a.serve(asked)
	}
	a.swapTables()
	a.retireListeners()
	a.retireClusters()
	s.meet()
	s.listListeners()
	s.applied.Store(snap)
	s.tidyLater()
	var failed []error
	for _, p := range a.problems {
		failed = append(failed, p)
	}
	return errors.Join(failed...)
}

// Problems takes the error of Apply apart; an error of another make is one
// problem without a resource.
func Problems(err error) []config.Problem {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		var p config.Problem
		if !errors.As(err, &p) {
			p.Text = err.Error()
		}
		return []config.Problem{p}
	}
	var all []config.Problem
	for _, e := range joined.Unwrap() {
		all = append(all, Problems(e)...)
	}
	return all
}

// update is one Apply. s.mu is held.
type update struct {
	*Server
	snap     *config.Snapshot
	first    bool
	regroup  bool // a cluster came or went: tables may point to another one
	gone     []*upstream.Cluster
	problems []config.Problem
}

func (a *update) refuse(resource string, err error) {
	a.problems = append(a.problems, config.Problem{Resource: resource, Text: err.Error()})
}

// serve brings one listener to what is asked.
func (a *update) serve(asked *config.Listener) {
	before := a.listeners[asked.Name]
	if before != nil && before.asked == asked && !a.regroup && !before.closed {
		a.renew(before)
		return
	}
	if a.closedFor(asked) && (before == nil || before.closed || !sameSockets(before.asked, asked)) {
		return // it would have to be opened
	}
	var old []*room
	var logs *listener.Logs
	if before != nil {
		old, logs = before.rooms, before.Plan().Logs
	}
	p, err := a.plan(asked, before)
	if err != nil {
		a.refuse("listener "+asked.Name, err)
		return
	}
	switch {
	case before == nil:
		err = a.open(asked, p)
	case !before.closed && sameSockets(before.asked, asked):
		if before.asked != asked || p.rebuilt {
			before.Replace(p.plan)
		}
	default:
		err = a.move(before, asked, p)
	}
	if err != nil {
		if p.plan.Logs != logs {
			p.plan.Logs.Close()
		}
		a.refuse("listener "+asked.Name, err)
		return
	}
	if p.plan.Logs != logs {
		logs.Close()
	}
	a.commit(p)
	l := a.listeners[asked.Name]
	l.asked, l.rooms, l.contexts, l.tally = asked, p.rooms, p.contexts, p.tally
	a.leave(without(old, p.rooms), p.followed)
}

// listListeners tells those that hand connections on which listeners there are.
func (s *Server) listListeners() {
	var all []*listener.Listener
	for _, name := range slices.Sorted(maps.Keys(s.listeners)) {
		all = append(all, s.listeners[name].Listener)
	}
	s.directory.Set(all)
}

// open begins to listen.
func (a *update) open(asked *config.Listener, p *plan) error {
	l, err := listener.Open(asked, p.plan, a.workers, a.o.Inherited)
	if err == nil {
		a.listeners[asked.Name] = &serving{Listener: l, asked: asked}
	}
	return err
}

// move listens on other addresses, or with other socket settings: on the new
// ones before the old ones are closed, where they are not the same. If the new
// ones cannot be had, the old ones are served on.
func (a *update) move(before *serving, asked *config.Listener, p *plan) error {
	if shareAddress(before.asked, asked) && !before.closed {
		before.Close()
		before.closed = true
	}
	if err := a.open(asked, p); err != nil {
		return errors.Join(err, a.reopen(before))
	}
	if !before.closed {
		before.Close()
	}
	return nil
}

// reopen listens again where a listener has stood before.
func (a *update) reopen(before *serving) error {
	if !before.closed {
		return nil
	}
	l, err := listener.Open(before.asked, before.Plan(), a.workers, nil)
	if err == nil {
		before.Listener, before.closed = l, false
	}
	return err
}

func sameSockets(a, b *config.Listener) bool {
	return a.Address == b.Address && slices.Equal(a.Additional, b.Additional) && slices.EqualFunc(a.AdditionalSockets, b.AdditionalSockets, config.Socket.Equal) &&
		a.BindToPort == b.BindToPort && a.Backlog == b.Backlog && a.Socket.Equal(b.Socket) && a.Freebind == b.Freebind &&
		a.OneSocket == b.OneSocket && a.Multipath == b.Multipath && a.AcceptsPerTurn == b.AcceptsPerTurn
}

// freeAddresses closes listeners that are going, or moving, from an address
// that another one now wants.
func (a *update) freeAddresses() {
	wanted := map[config.Address]string{}
	for _, l := range a.snap.Listeners {
		if before := a.listeners[l.Name]; before == nil || before.asked != l && !sameSockets(before.asked, l) {
			for _, at := range binds(l) {
				wanted[at] = l.Name
			}
		}
	}
	if len(wanted) == 0 {
		return
	}
	for name, l := range a.listeners {
		for _, at := range binds(l.asked) {
			if by, is := wanted[at]; is && by != name && !l.closed {
				l.Close()
				l.closed = true
			}
		}
	}
}

// binds are the addresses that a listener alone can have.
func binds(l *config.Listener) (all []config.Address) {
	if !l.BindToPort {
		return nil
	}
	for _, at := range append([]config.Address{l.Address}, l.Additional...) {
		if at.Path != "" || at.IP.Port() != 0 {
			all = append(all, at)
		}
	}
	return all
}

func shareAddress(a, b *config.Listener) bool {
	return slices.ContainsFunc(binds(a), func(at config.Address) bool { return slices.Contains(binds(b), at) })
}

func (a *update) retireListeners() {
	for name, l := range a.listeners {
		if a.snap.Listener(name) == nil {
			l.Close()
			l.Plan().Logs.Close()
			a.retire(l.rooms)
			delete(a.listeners, name)
		}
	}
}

// without gives the rooms of all that are not among some.
func without(all, some []*room) (rest []*room) {
	stay := make(map[*room]bool, len(some))
	for _, r := range some {
		stay[r] = true
	}
	for _, r := range all {
		if !stay[r] {
			rest = append(rest, r)
		}
	}
	return rest
}

// alike compares by pointer first.
func alike[T any](a, b *T) bool { return a == b || reflect.DeepEqual(a, b) }
