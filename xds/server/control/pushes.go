package control

// From a change to the last answer.

import (
	"sync"
	"time"

	"github.com/attache-mesh/attache/xds/server"
)

// Push is one turn's changes on their way to the clients.
type Push struct {
	// Services and secrets that changed; none if the file did, or a client came.
	Services []string
	// Began is when the first change came from its source, Turned when bundles
	// began to be built, and Ended when the last client that was concerned
	// answered or went.
	Began, Turned, Ended time.Time
	Groups               []GroupPush
}

// GroupPush is a push as one group had it.
type GroupPush struct {
	Group            string
	Generation       uint64
	Published, Ended time.Time
	// Watches is how many streams' types were concerned, or might have been.
	Watches int
}

// pushes joins what was published with the end of it. Any goroutine.
type pushes struct {
	tell func(Push)

	mu sync.Mutex
	// under are publishes that have not settled; early are those that settled
	// before their Publish had returned.
	under map[pushKey]*Push
	early map[pushKey]server.Settled
	open  map[*Push]int // groups to come, and one until all are published
}

type pushKey struct {
	group      string
	generation uint64
}

func (p *pushes) begin(push *Push) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.under == nil {
		p.under, p.early, p.open = map[pushKey]*Push{}, map[pushKey]server.Settled{}, map[*Push]int{}
	}
	p.open[push] = 1
}

func (p *pushes) published(push *Push, group string, generation uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[push]++
	key := pushKey{group, generation}
	if s, ok := p.early[key]; ok {
		delete(p.early, key)
		p.end(push, s)
		return
	}
	p.under[key] = push
}

// all says that nothing more is published for push.
func (p *pushes) all(push *Push) {
	p.mu.Lock()
	defer p.mu.Unlock()
	push.Ended = time.Now()
	clear(p.early) // what nobody has asked for was no push's
	p.less(push)
}

func (p *pushes) settled(s server.Settled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := pushKey{s.Group, s.Generation}
	push, ok := p.under[key]
	if !ok {
		if p.early != nil {
			p.early[key] = s
		}
		return
	}
	delete(p.under, key)
	p.end(push, s)
}

// end takes one group's part of a push as over. The lock is held.
func (p *pushes) end(push *Push, s server.Settled) {
	push.Groups = append(push.Groups, GroupPush{s.Group, s.Generation, s.Published, s.At, s.Watches})
	if s.At.After(push.Ended) {
		push.Ended = s.At
	}
	p.less(push)
}

func (p *pushes) less(push *Push) {
	if p.open[push]--; p.open[push] > 0 {
		return
	}
	delete(p.open, push)
	if len(push.Groups) > 0 {
		p.tell(*push)
	}
}
