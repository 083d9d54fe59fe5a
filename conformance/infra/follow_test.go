//go:build infra

package infra

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attache-mesh/attache/conformance/infra/real"
	"github.com/attache-mesh/attache/discovery"
)

// soon is how long a change may take to be seen, and by a sidecar to be used: the
// goal is a second, and it is met within milliseconds (each is logged) where the
// machine does nothing else. A test machine does.
const soon = 3 * time.Second

// followed is what a catalog says of one service, all of it.
type followed struct {
	t *testing.T

	mu     sync.Mutex
	states []discovery.State
	times  []time.Time
}

// follow watches a reference such as "consul://web" in a catalog of one source.
func follow(t *testing.T, source discovery.Source, reference string) *followed {
	t.Helper()
	service, err := discovery.ParseService(reference)
	if err != nil {
		t.Fatal(err)
	}
	catalog := discovery.NewCatalog(map[string]discovery.Mount{service.Source: {Source: source}})
	if err := catalog.Check(service); err != nil {
		t.Fatal(err)
	}
	f := &followed{t: t}
	catalog.Follow(service, func(s discovery.State) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.states, f.times = append(f.states, s), append(f.times, time.Now())
	})
	t.Cleanup(catalog.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s was said to be:\n%s", reference, f)
		}
	})
	return f
}

func (f *followed) now() discovery.State {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.states) == 0 {
		return discovery.State{}
	}
	return f.states[len(f.states)-1]
}

// until waits for a state and says how long it took.
func (f *followed) until(within time.Duration, what string, so func(discovery.State) bool) time.Duration {
	f.t.Helper()
	took := real.Until(f.t, within, what, func() bool { return so(f.now()) })
	f.t.Logf("%s: %v", what, took.Round(time.Millisecond))
	return took
}

// has waits until the healthy instances are exactly ids and the source's own
// last word.
func (f *followed) has(within time.Duration, ids ...string) time.Duration {
	f.t.Helper()
	slices.Sort(ids)
	return f.until(within, fmt.Sprintf("healthy: %s", strings.Join(ids, " ")), func(s discovery.State) bool {
		return s.Kind == discovery.Fresh && slices.Equal(withHealth(s, discovery.Healthy), ids)
	})
}

func withHealth(s discovery.State, h discovery.Health) (ids []string) {
	if s.Set == nil {
		return nil
	}
	for _, i := range s.Set.Instances {
		if i.Health == h {
			ids = append(ids, i.ID)
		}
	}
	return ids
}

// everHad demands of every set since a moment that it had all of ids.
func (f *followed) everHad(since time.Time, ids ...string) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for n, s := range f.states {
		if f.times[n].Before(since) {
			continue
		}
		for _, id := range ids {
			if !slices.Contains(withHealth(s, discovery.Healthy), id) {
				f.t.Errorf("%s was missing at a time: %s", id, describe(s))
			}
		}
	}
}

// String is all states, one a line.
func (f *followed) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var text strings.Builder
	for n, s := range f.states {
		fmt.Fprintf(&text, "%s %s\n", f.times[n].Format("15:04:05.000"), describe(s))
	}
	return text.String()
}

func describe(s discovery.State) string {
	text := s.Kind.String()
	if s.Err != nil {
		text += fmt.Sprintf(" (%v)", s.Err)
	}
	if s.Set != nil {
		for _, i := range s.Set.Instances {
			text += fmt.Sprintf(" %s=%s@%s", i.ID, i.Health, i.Addr)
		}
	}
	return text
}
