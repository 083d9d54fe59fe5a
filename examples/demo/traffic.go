package main

// An application at work: a few workers that read all keys in turn and write down what they met.

import (
	"errors"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

const (
	trafficWorkers = 4
	// pause between two reads of one worker: a client library that gets an error dials again, and loopback has some
	// 28,000 ports for that in a minute.
	pause = 2 * time.Millisecond
)

// tally is what reads of some keys met.
type tally struct {
	right, missed, failed, wrong int
	slowest                      time.Duration
	lastError                    error
	lastFailure                  time.Time
	firstMiss                    time.Time
	streak                       int // answers since the last failure
}

func (t *tally) add(err error, took time.Duration) {
	t.slowest = max(t.slowest, took)
	t.streak++
	switch {
	case errors.Is(err, errWrongValue):
		t.wrong, t.lastError = t.wrong+1, err
	case err == nil:
		t.right++
	case errors.Is(err, memcache.ErrCacheMiss):
		if t.missed++; t.missed == 1 {
			t.firstMiss = time.Now()
		}
	default:
		t.failed, t.lastError, t.lastFailure, t.streak = t.failed+1, err, time.Now(), 0
	}
}

// reads are how many reads were made.
func (t *tally) reads() int { return t.right + t.missed + t.failed + t.wrong }

type traffic struct {
	quit    chan struct{}
	workers sync.WaitGroup
	once    sync.Once

	mu     sync.Mutex
	victim tally // keys of the shard that is killed
	others tally
}

func startTraffic(app *memcache.Client, owner map[string]*shard, victim *shard) *traffic {
	t := &traffic{quit: make(chan struct{})}
	for w := range trafficWorkers {
		t.workers.Go(func() { t.work(app, owner, victim, w) })
	}
	return t
}

func (t *traffic) work(app *memcache.Client, owner map[string]*shard, victim *shard, w int) {
	all := keys()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := w; ; i += trafficWorkers {
		select {
		case <-t.quit:
			return
		case <-tick.C:
		}
		key := all[i%len(all)]
		began := time.Now()
		err := read(app, key)
		t.note(owner[key] == victim, err, time.Since(began))
	}
}

func (t *traffic) note(ofVictim bool, err error, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ofVictim {
		t.victim.add(err, took)
	} else {
		t.others.add(err, took)
	}
}

// seen is what was met so far, by keys of the victim and of the others.
func (t *traffic) seen() (victim, others tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.victim, t.others
}

// stop ends the traffic and returns when the last read has. It may be called twice.
func (t *traffic) stop() {
	t.once.Do(func() { close(t.quit) })
	t.workers.Wait()
}
