package loop

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// Sim is a whole world for workers: virtual time, chance from one seed, and a
// network in memory. The same seed gives the same run, to the byte.
//
//	Run ─▶ pick (by the seed) a worker that has something to do ─▶ its turn ─┐
//	 ▲                                                                      │
//	 └── nobody has: on to the next delivery, timer or At ◀─────────────────┘
//
// Proxies, test clients and backends are all workers of one Sim, written with
// the same Conn in coroutines, so a test reads straight down:
//
//	s := loop.NewSim(seed, nil)
//	defer s.Close()
//	client := s.Worker("client")
//	client.Go(func() { c, err := client.Dial(...); ... })
//	err := s.Run(func() bool { return done }, time.Minute)
//
// Everything runs on the goroutine that calls Run; no method is for another
// one. (Models: the simulators of FoundationDB and TigerBeetle.)
type Sim struct {
	rng   *rand.Rand
	log   *slog.Logger
	start int64
	now   int64
	lag   int64 // how long a turn may keep a worker busy
	heap  eventHeap
	seq   uint64
	trace trace

	workers []*simKernel // all that were made and not killed or ended
	gone    []*simKernel // ended by Stop
	able    []*simKernel // scratch of step
	turning *simKernel   // whose turn it is
	nextID  int
	turns   int // at this instant

	sites     map[config.Address]*site // for look-up only: its order is chance
	order     []*site
	all       *site // what holds for every address
	shared    map[*SharedSocket]*backlog
	woken     func()            // see OnWake
	asked     func(SocketAsked) // see OnSocket
	nextPort  uint16            // of a listener that wants a free one
	nextLocal uint16            // ephemeral ports of clients
	stats     SimStats
}

// SimStats are what a Sim counted since it began.
type SimStats struct {
	Turns       uint64 // of all workers
	Connections uint64 // that were tried
	Segments    uint64 // that arrived
	Bytes       uint64 // that arrived
	Sockets     int    // open now, listening ones included
}

// maxTurns is how many turns one instant may see before a worker is said to
// spin.
const maxTurns = 200_000

// NewSim makes a world from a seed. What its workers log goes to log (nil:
// nowhere) with the virtual time in place of the real one.
func NewSim(seed uint64, log *slog.Logger) *Sim {
	s := &Sim{
		rng:      rand.New(rand.NewPCG(seed, 0x61747461636865)),
		sites:    map[config.Address]*site{},
		shared:   map[*SharedSocket]*backlog{},
		nextPort: 20000, nextLocal: 32768,
	}
	// Somewhere in the life of a machine, so that the timers' wheel is not
	// always at its beginning.
	s.start = (1 + s.rng.Int64N(1<<25)) * tick
	s.now = s.start
	s.all = &site{link: Link{Latency: 100 * time.Microsecond}, own: true}
	s.log = s.logger(log)
	return s
}

// Worker makes a worker of this world: a process with one event loop. IDs count
// from 0 in the order of the calls. Do not call its Run; Stop ends it. How much
// one read can bring is the seed's choice: messages meet the buffer's end.
func (s *Sim) Worker(name string) *Worker {
	k := &simKernel{s: s, name: name}
	shared := []int{queueSize, 4 * queueSize, sharedSize}[s.rng.IntN(3)]
	k.w = newWorker(s.nextID, s.log.With("worker_name", name), k, shared)
	s.nextID++
	s.workers = append(s.workers, k)
	return k.w
}

// Now is the virtual time since the world began.
func (s *Sim) Now() time.Duration { return time.Duration(s.now - s.start) }

// Rand is the world's chance, for scenarios that the seed shall decide.
func (s *Sim) Rand() *rand.Rand { return s.rng }

// At calls f when Now is d, between turns; a time that is past is now.
func (s *Sim) At(d time.Duration, f func()) {
	s.push(simEvent{at: max(s.start+int64(d), s.now), kind: evFunc, f: f})
}

// After calls f once, d from now, between turns.
func (s *Sim) After(d time.Duration, f func()) { s.At(s.Now()+d, f) }

// SetLag lets every turn keep its worker busy for up to d, as the seed decides:
// events gather meanwhile. 0, as in the beginning: turns take no time.
func (s *Sim) SetLag(d time.Duration) { s.lag = int64(d) }

// Run turns workers until the condition holds; it is asked before every turn.
// Errors: limit of virtual time has passed since the call, nothing can ever
// happen again (it says what waits), or a worker turns without end.
func (s *Sim) Run(until func() bool, limit time.Duration) error {
	end := s.now + int64(limit)
	for !until() {
		if s.step() {
			if s.turns > maxTurns {
				return fmt.Errorf("sim: %d turns at %v without time passing; waiting:%s", s.turns, s.Now(), s.waiting())
			}
			continue
		}
		at, ok := s.next()
		switch {
		case !ok:
			return fmt.Errorf("sim: nothing can happen any more at %v; waiting:%s", s.Now(), s.waiting())
		case at > end:
			s.advance(end)
			return fmt.Errorf("sim: not done within %v; waiting:%s", limit, s.waiting())
		}
		s.advance(at)
	}
	return nil
}

// Step, Next and Advance are what Run is made of, for who has a clock of their
// own: a test in a synctest bubble turns workers while ordinary goroutines run
// beside them (conformance/behaviour).

// Step gives one worker that has something to do now its turn; false: none has.
func (s *Sim) Step() bool { return s.step() }

// Next is when, by Now, something will happen if nobody hands work to a worker
// before; false: never.
func (s *Sim) Next() (time.Duration, bool) {
	at, ok := s.next()
	return time.Duration(at - s.start), ok
}

// Advance moves the clock to to, or leaves it if that is past, and lets happen
// what is due.
func (s *Sim) Advance(to time.Duration) { s.advance(max(s.start+int64(to), s.now)) }

// OnWake sets what is called when work is handed to a worker (Worker.Post), by
// the goroutine that hands it over. Before the first Step only.
func (s *Sim) OnWake(f func()) { s.woken = f }

// RunFor lets d of virtual time pass.
func (s *Sim) RunFor(d time.Duration) error {
	over := false
	s.After(d, func() { over = true })
	return s.Run(func() bool { return over }, d)
}

// step gives one worker that has something to do its turn.
func (s *Sim) step() bool {
	s.able = s.able[:0]
	for _, k := range s.workers {
		if k.runnable() {
			s.able = append(s.able, k)
		}
	}
	if len(s.able) == 0 {
		return false
	}
	k := s.able[0]
	if len(s.able) > 1 {
		k = s.able[s.rng.IntN(len(s.able))]
	}
	s.note(k, opTurn, 0, 0)
	s.turns++
	s.stats.Turns++
	s.turning = k
	k.w.turn(0)
	s.turning = nil
	if s.lag > 0 {
		k.busy = s.now + s.rng.Int64N(s.lag)
	}
	if k.w.stopped.Load() {
		s.end(k)
	}
	return true
}

// next is when something will happen, if nobody has anything to do now.
func (s *Sim) next() (int64, bool) {
	at, ok := s.heap.first()
	for _, k := range s.workers {
		if t, some := k.nextTime(); some && (!ok || t < at) {
			at, ok = t, true
		}
	}
	return at, ok
}

// advance moves the clock and lets happen what is due.
func (s *Sim) advance(at int64) {
	if at > s.now {
		s.now, s.turns = at, 0
		for _, k := range s.workers {
			k.w.now = at
		}
	}
	for {
		if at, ok := s.heap.first(); !ok || at > s.now {
			return
		}
		s.happen(s.heap.pop())
	}
}

func (s *Sim) push(ev simEvent) {
	s.seq++
	ev.seq = s.seq
	s.heap.push(ev)
}

func (s *Sim) happen(ev simEvent) {
	switch ev.kind {
	case evFunc:
		ev.f()
	case evDeliver:
		s.deliver(ev.sock)
	case evSpace:
		ev.sock.spaceAgain()
	default:
		s.handshake(ev)
	}
}

// Stats gives what was counted so far.
func (s *Sim) Stats() SimStats {
	st := s.stats
	for _, k := range s.workers {
		st.Sockets += k.open
	}
	return st
}

// Quiet reports whether nothing is under way: no worker has anything to do, no
// byte travels, no At is to come. Timers may be set.
func (s *Sim) Quiet() bool {
	for _, k := range s.workers {
		if !k.frozen && k.hasWork() {
			return false
		}
	}
	return len(s.heap.events) == 0
}

// Leaks tells what was not given back, of every worker that was not killed:
// sockets, connections, coroutines that run or wait, timers. It is asked when a
// scenario is over and everything was closed.
func (s *Sim) Leaks() error {
	var b strings.Builder
	for _, list := range [][]*simKernel{s.workers, s.gone} {
		for _, k := range list {
			w := k.w
			if k.open != 0 || w.count.Conns != 0 || w.count.Running != 0 || w.wheel.count != 0 {
				fmt.Fprintf(&b, "\n  %s: %d sockets, %d connections, %d coroutines, %d timers%s",
					k.name, k.open, w.count.Conns, w.count.Running, w.wheel.count, k.openSockets())
			}
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return fmt.Errorf("sim: not given back:%s", b.String())
}

// Close ends the world: every coroutine is unwound and what it still does has
// no effect. Each Sim needs it, else its stacks stay.
func (s *Sim) Close() {
	s.turning = nil
	for _, k := range s.workers {
		k.dead = true
		k.w.endCoroutines()
	}
	s.workers, s.heap.events = nil, nil
}

// waiting describes, for an error, who waits.
func (s *Sim) waiting() string {
	var b strings.Builder
	for _, k := range s.workers {
		w := k.w
		fmt.Fprintf(&b, "\n  %s: %d coroutines, %d timers", k.name, w.count.Running, w.wheel.count)
		if k.frozen {
			b.WriteString(", frozen")
		}
		b.WriteString(k.openSockets())
	}
	return b.String()
}
