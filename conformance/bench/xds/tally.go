package main

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// tally is what the control plane's process counts of its clients.
type tally struct {
	responses, nacks atomic.Int64

	mu    sync.Mutex
	opens []opened // of the last second
	peak  int      // most streams admitted within a second
	both  map[string]*[2]bool
	done  int // clients that have accepted clusters and endpoints

	start time.Time // of the change that is being measured
	delay []time.Duration
	want  int
	all   chan struct{}
}

func newTally() *tally { return &tally{both: map[string]*[2]bool{}} }

// opened is how many streams a server had admitted at a moment.
type opened struct {
	at    time.Time
	total int
}

// watchOpens reads a server's count of streams twenty times a second, for good.
func (t *tally) watchOpens(total func() int) {
	for range time.Tick(50 * time.Millisecond) {
		o := opened{total: total()}
		now := time.Now()
		o.at = now
		t.mu.Lock()
		t.opens = append(t.opens, o)
		for now.Sub(t.opens[0].at) > time.Second {
			t.opens = t.opens[1:]
		}
		t.peak = max(t.peak, o.total-t.opens[0].total)
		t.mu.Unlock()
	}
}

func (t *tally) acked(typeURL, client string) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.both[client]
	if b == nil {
		b = new([2]bool)
		t.both[client] = b
	}
	was := b[0] && b[1]
	b[0] = b[0] || typeURL == resource.ClusterType
	b[1] = b[1] || typeURL == resource.EndpointType
	if !was && b[0] && b[1] {
		t.done++
	}
	if t.all != nil && typeURL == resource.EndpointType {
		t.delay = append(t.delay, now.Sub(t.start))
		if len(t.delay) == t.want {
			close(t.all)
			t.all = nil
		}
	}
}

// expect begins the measurement of a change that want clients will accept.
func (t *tally) expect(want int) <-chan struct{} {
	all := make(chan struct{})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.start, t.delay, t.want, t.all = time.Now(), nil, want, all
	return all
}

func (t *tally) delays() []time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.delay
}

func (t *tally) settled() (done, peak int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done, t.peak
}
