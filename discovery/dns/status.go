package dns

// What a status page shows of the names that are watched.

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/discovery"
)

// Counters count what came of one service's questions.
type Counters struct {
	Queries uint64 // sent, by UDP and TCP
	TCP     uint64 // asked again by TCP, as the answer was truncated
	NotOurs uint64 // datagrams that answered no question of ours
	Denied  uint64 // addresses left out, see Options.Deny
	// Outcomes are how questions ended, each at one server, by Kind's name; what
	// never happened is not there.
	Outcomes map[string]uint64
}

// counters are Counters while they count. Any goroutine.
type counters struct {
	queries, tcp, notOurs, denied atomic.Uint64
	outcomes                      [kinds]atomic.Uint64
}

func (c *counters) outcome(err error) {
	k := Answered
	var e *Error
	if errors.As(err, &e) {
		k = e.Kind
	}
	c.outcomes[k].Add(1)
}

func (c *counters) read() Counters {
	r := Counters{c.queries.Load(), c.tcp.Load(), c.notOurs.Load(), c.denied.Load(), map[string]uint64{}}
	for k := range kinds {
		if n := c.outcomes[k].Load(); n > 0 {
			r.Outcomes[k.String()] = n
		}
	}
	return r
}

// Last is how the last look-up ended.
type Last struct {
	Looked time.Time // the zero time before the first
	Err    error     // why it gave no set
	Next   time.Time // when the next is
}

// Status is one service that is watched.
type Status struct {
	Service  discovery.Service
	Last     Last
	Counters Counters
}

// Status is of all services that are watched, sorted by name. Any goroutine.
func (s *Source) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Status
	for w := range s.watches {
		w.mu.Lock()
		all = append(all, Status{w.service, w.last, w.count.read()})
		w.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Service.String(), b.Service.String()) })
	return all
}

func (w *watch) note(r discovery.Report, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.last = Last{now, r.Err, now.Add(wait)}
}
