package main

// Steps four and five: a shard dies while the application reads, and comes back.

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// grace is what a busy machine may add to a time that attache keeps.
	grace = 300 * time.Millisecond
	// comeback bounds the wait for a shard that is up again.
	comeback = 15 * time.Second
)

var errNotYet = errors.New("not yet")

func (s *stage) loseAShard(ctx context.Context) error {
	s.victim = s.owner[sampleKey]
	s.traffic = startTraffic(s.app, s.owner, s.victim)
	if err := s.readsMade(ctx, 1000); err != nil {
		return err
	}
	s.victim.kill()
	s.say.aside("%s killed (SIGKILL), while %d workers of the application read on", s.victim.name, trafficWorkers)

	// All keys once, one after the other, while it is dead: now every count is known beforehand.
	var dead, alive tally
	for _, key := range keys() {
		began := time.Now()
		err := errors.Join(ctx.Err(), read(s.app, key))
		if s.owner[key] == s.victim {
			dead.add(err, time.Since(began))
		} else {
			alive.add(err, time.Since(began))
		}
	}
	switch lost := s.keysOf(s.victim); {
	case alive.right != keyCount-lost:
		return fmt.Errorf("of %d keys on living shards %d were read right, %d missed, %d failed: %w", keyCount-lost, alive.right, alive.missed, alive.failed, alive.lastError)
	case dead.failed != lost:
		return fmt.Errorf("of %d keys on the dead shard %d failed, %d were missed and %d read", lost, dead.failed, dead.missed, dead.right)
	case dead.slowest > opTimeout+grace:
		return fmt.Errorf("an error took %v to come; the limit is %v", dead.slowest, opTimeout)
	}
	s.say.fact("the %d keys of %s: an error each, at most %s later (the limit is %v)", dead.failed, s.victim.name, ms(dead.slowest), opTimeout)
	s.say.fact("the %d keys of the others: every value right, no error, no miss, slowest %s", alive.right, ms(alive.slowest))
	s.say.aside("the application saw: %v", dead.lastError)
	return nil
}

func (s *stage) regainTheShard(ctx context.Context) error {
	began := time.Now()
	if err := s.victim.start(ctx); err != nil {
		return err
	}
	s.say.aside("%s started again on its port, empty", s.victim.name)

	// The traffic tells when its keys have answers again: misses, for the server is new. Each of attache's workers has
	// connections of its own and makes them again in its own time; a run of answers says that all have.
	err := until(ctx, comeback, func() error {
		if victim, _ := s.traffic.seen(); victim.missed == 0 || victim.streak < 300 {
			return errNotYet
		}
		return nil
	})
	victim, _ := s.traffic.seen()
	if err != nil {
		return fmt.Errorf("%s is not back %v after it was started: %w", s.victim.name, comeback, victim.lastError)
	}
	s.say.fact("attache connected again by itself: first answer %s after the shard was started, last error %s after",
		ms(victim.firstMiss.Sub(began)), ms(max(0, victim.lastFailure.Sub(began))))

	if err := s.refill(ctx); err != nil {
		return err
	}
	s.traffic.stop()
	victim, others := s.traffic.seen()
	switch {
	case victim.wrong+others.wrong > 0:
		return errors.Join(victim.lastError, others.lastError)
	case others.right != others.reads():
		return fmt.Errorf("keys of living shards were read %d times, %d times right: %w", others.reads(), others.right, others.lastError)
	case victim.slowest > opTimeout+grace:
		return fmt.Errorf("a key of %s took %v to answer; the limit is %v", s.victim.name, victim.slowest, opTimeout)
	}
	s.say.fact("all the while the workers read keys of the other shards %s times: all right, slowest %s", thousands(others.reads()), ms(others.slowest))
	s.say.fact("and keys of %s %s times: %s right, %s errors while it was dead, %s misses while it was empty, no wrong value",
		s.victim.name, thousands(victim.reads()), thousands(victim.right), thousands(victim.failed), thousands(victim.missed))
	return nil
}

// refill writes the lost keys again, as an application does on a miss, and checks that they are where they were.
func (s *stage) refill(ctx context.Context) error {
	lost := s.keysOf(s.victim)
	for _, key := range keys() {
		if s.owner[key] != s.victim {
			continue
		}
		if err := errors.Join(ctx.Err(), write(s.app, key)); err != nil {
			return fmt.Errorf("writing %s again: %w", key, err)
		}
	}
	for _, key := range keys() {
		if err := errors.Join(ctx.Err(), read(s.app, key)); err != nil {
			return fmt.Errorf("reading %s after the outage: %w", key, err)
		}
	}
	if n, err := s.victim.items(); err != nil || n != lost {
		return errors.Join(err, fmt.Errorf("%s holds %d items after the outage, want the %d it had", s.victim.name, n, lost))
	}
	s.say.fact("its %d keys written again, and all %s read, every value right", lost, thousands(keyCount))
	return nil
}

// readsMade waits until the traffic has made n reads, each right.
func (s *stage) readsMade(ctx context.Context, n int) error {
	err := until(ctx, 20*time.Second, func() error {
		if victim, others := s.traffic.seen(); victim.right+others.right < n {
			return errNotYet
		}
		return nil
	})
	victim, others := s.traffic.seen()
	if bad := errors.Join(victim.lastError, others.lastError); err != nil || bad != nil {
		return fmt.Errorf("before anything was killed %d of %d reads were right: %w", victim.right+others.right, victim.reads()+others.reads(), errors.Join(err, bad))
	}
	return nil
}

func (s *stage) keysOf(sh *shard) (n int) {
	for _, owner := range s.owner {
		if owner == sh {
			n++
		}
	}
	return n
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
