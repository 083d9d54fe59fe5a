package consul

// The blocking query: ask, be held until something changes, ask again.
//
//	   ┌── pace ◀─────────────── taken ◀── index, staleness ◀─┐
//	   ▼                                                      │
//	slot ─▶ ask (index, wait, own deadline) ──────────────▶ answer
//	   ▲                                                      │
//	   └── back-off, index 0, next address ◀── failed ◀───────┘

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	maxWait    = 5 * time.Minute // Consul's default wait; it allows 10
	minBackoff = 250 * time.Millisecond
)

// query is something that Consul can be asked for and that changes.
type query interface {
	// name is what it is called in errors.
	name() string
	// ask sends it once. take reports the answer, or says what is wrong with it.
	ask(*api.Client, *api.QueryOptions) (take func(behind time.Duration) error, meta *api.QueryMeta, err error)
	failed(error)
	// hold shortens a wait after which the answer must be looked at again.
	hold(time.Duration) time.Duration
}

// cursor is where a query stands between two answers.
type cursor struct {
	index  uint64 // 0: answer at once
	leader bool   // the next answer must be the leader's
	taken  bool   // there has been an answer
}

// follow keeps asking until ctx is done.
func (s *Source) follow(ctx context.Context, q query) {
	s.watches.Add(1)
	defer s.watches.Add(-1)
	var at cursor
	var pace pace
	failures := 0
	for {
		began := time.Now()
		before := at
		err := s.step(ctx, q, &at)
		if ctx.Err() != nil {
			return
		}
		var delay time.Duration
		switch {
		case err != nil:
			failures++
			at = cursor{taken: at.taken}
			s.Counters.Failures.Add(1)
			q.failed(failure(q.name(), err))
			delay = s.backoff(failures)
		case spins(before, at, time.Since(began)):
			failures = 0
			delay = time.Second + s.random(time.Second/4)
		default:
			failures = 0
			delay = pace.next(time.Now())
		}
		if !sleep(ctx, delay) {
			return
		}
	}
}

// spins reports whether an answer came without a reason to: Consul had no index,
// took it back, or did not hold the query. To ask again at once would go on for
// ever.
func spins(before, now cursor, took time.Duration) bool {
	return now.index == 0 || now.index == before.index && took < minWait/2
}

// step asks once. An index that an error leaves behind means nothing to a server
// that was restarted, and one larger than the server's own would be held for the
// whole wait: follow begins again at 0.
func (s *Source) step(ctx context.Context, q query, at *cursor) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	opts := api.QueryOptions{AllowStale: s.conf.Stale && !at.leader}
	limit := s.conf.Timeout
	if at.index > 0 {
		opts.WaitIndex, opts.WaitTime = at.index, q.hold(s.wait())
		limit += opts.WaitTime + opts.WaitTime/16 // which Consul adds to spread the answers
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	first := s.first.Load()
	s.Counters.Queries.Add(1)
	take, meta, err := q.ask(s.clients[first], opts.WithContext(within))
	if err != nil {
		s.first.CompareAndSwap(first, (first+1)%uint32(len(s.clients)))
		return err
	}
	return s.settle(at, meta, opts.AllowStale, take)
}

// settle takes an answer unless a better one is to be had, and moves the cursor.
func (s *Source) settle(at *cursor, meta *api.QueryMeta, stale bool, take func(time.Duration) error) error {
	behind := age(meta)
	back := meta.LastIndex < at.index
	if back || meta.LastIndex == 0 {
		s.Counters.Resets.Add(1)
	}
	tooStale := behind > s.conf.MaxStale
	if tooStale && stale {
		s.Counters.TooStale.Add(1)
	}
	if stale && at.taken && (back || tooStale) {
		// What is known may be newer than this answer: let the leader decide.
		at.index, at.leader = 0, true
		return nil
	}
	if err := take(behind); err != nil {
		return err
	}
	at.taken = true
	at.index, at.leader = meta.LastIndex, stale && tooStale
	if back || at.leader {
		at.index = 0
	}
	return nil
}

// age is how long ago the server that answered heard from the leader. One that
// never did says more than a Duration holds.
func age(meta *api.QueryMeta) time.Duration {
	if meta.LastContact < 0 || meta.LastContact > oldest {
		return oldest
	}
	return meta.LastContact
}

const oldest = 365 * 24 * time.Hour

// wait is how long the next query may be held. When there are more than half as
// many watches as slots it gets so short that each has its turn every 5 s.
func (s *Source) wait() time.Duration {
	wait := s.conf.Wait
	if watches, slots := s.watches.Load(), int64(cap(s.slots)); watches > (slots+1)/2 && slots > 1 {
		wait = min(wait, max(5*time.Second*time.Duration(slots)/time.Duration(watches), minWait))
	}
	return wait - s.random(wait/8)
}

const minWait = 500 * time.Millisecond

// backoff is full jitter: uniform up to the limit, which doubles.
func (s *Source) backoff(failures int) time.Duration {
	limit := s.conf.MaxBackoff
	if shift := failures - 1; shift < 16 {
		limit = min(limit, minBackoff<<shift)
	}
	return max(s.random(limit), 10*time.Millisecond)
}

// pace lets a few answers follow each other at once, then one every half second:
// a service whose checks never rest must not be fetched without rest.
type pace struct{ full time.Time }

const (
	paceEvery = 500 * time.Millisecond
	paceBurst = 4
)

// next is how long to leave between an answer and the next query.
func (p *pace) next(now time.Time) time.Duration {
	if p.full.Before(now) {
		p.full = now
	}
	p.full = p.full.Add(paceEvery)
	return max(0, p.full.Sub(now)-paceBurst*paceEvery)
}

// sleep reports whether ctx was not done meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// errNoList and errNoIndex tell an answer that some other server gave from an
// empty one of Consul's.
var (
	errNoList  = errors.New("the answer is no list")
	errNoIndex = errors.New("an empty answer without an index: not Consul's")
	errHidden  = errors.New("the answer is empty because the ACL token may not read it")
)
