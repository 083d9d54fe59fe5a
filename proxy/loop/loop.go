// Package loop is the engine: a worker is one goroutine that owns a poller, its
// connections, its timers and its buffers, and runs code written straight down
// in coroutines that yield instead of blocking.
//
//	turn:  wait ─▶ events ─▶ one call reads for all ─▶ handlers and coroutines run ─▶ ready queue
//	         ▲                                                                           │
//	         └── what can come last ◀── one call writes for all ◀── timers ◀─────────────┘
//
// Nothing that a worker owns is touched by another goroutine; Post hands a
// function over. The poller, clock, randomness and network are behind one
// small interface with two implementations, Linux epoll and a simulator
// (Simulation), so that everything above it is tested on virtual time.
package loop

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Worker is one event loop. Its methods are for its own goroutine, that is for
// handlers, coroutines and posted functions, but where they say otherwise.
type Worker struct {
	// ID counts workers from 0. Set once.
	ID  int
	log *slog.Logger
	k   kernel

	// Owned by the worker's goroutine.
	conns     []*entry // by file descriptor
	gen       uint32
	events    [256]event
	now       int64
	wheel     wheel
	fireTimer func(*Timer)
	current   *coroutine
	idle      []*coroutine // parked, to be used again
	ready     queue[task]
	later     queue[task] // for the next turn
	dirty     []*Conn     // to be flushed at the end of the turn
	bufs      buffers
	batches   bool   // the kernel takes batches
	batch     *batch // nil until there was one
	shared    shared
	stream    []byte // of Conn.Stream, made when first used
	rng       *rand.Rand
	busy      bool // there was something lately
	count     Counters
	paused    []*Listener // waiting for file descriptors
	inside    map[string]*Listener
	last      queue[func()] // for the end of the turn
	spare     []func()      // the other half of posted
	live      []*coroutine
	ended     bool

	// Any goroutine.
	mu       sync.Mutex
	posted   []func()
	hasPosts atomic.Bool // posted since the loop last looked
	stopped  atomic.Bool
}

// Counters are what a worker counted since it began.
type Counters struct {
	Turns, Waits, Reads, Writes uint64
	Batches                     uint64 // system calls that did several of the Reads or Writes
	Accepted, AcceptPaused      uint64
	Coroutines                  uint64 // alive now, parked ones included
	Running                     uint64 // coroutines that serve something now
	Conns                       uint64 // open now
	Panics                      uint64
}

// entry is what a file descriptor is: a connection or a listener.
type entry struct {
	gen      uint32
	conn     *Conn
	listener *Listener
}

// task is work for the ready queue: a coroutine to resume, a connection to
// look at, or a function.
type task struct {
	co   *coroutine
	conn *Conn
	f    func()
}

// New makes a worker on Linux. It runs when Run is called. Any goroutine.
func New(id int, log *slog.Logger) (*Worker, error) {
	k, err := newLinux()
	if err != nil {
		return nil, err
	}
	return newWorker(id, log, k, sharedSize), nil
}

// newWorker makes a worker whose reads bring at most shared bytes.
func newWorker(id int, log *slog.Logger, k kernel, shared int) *Worker {
	w := &Worker{ID: id, log: log, k: k, gen: 1}
	w.rng = rand.New(rand.NewChaCha8(k.seed()))
	w.now = k.nanotime()
	w.wheel.init(w.now)
	w.fireTimer = w.fire
	w.shared.buf = make([]byte, shared)
	w.batches = k.canBatch()
	return w
}

// Run turns until Stop. It closes whatever is open before it returns. One
// goroutine, once.
func (w *Worker) Run() {
	for !w.stopped.Load() {
		w.turn(w.patience())
	}
	w.closeAll()
	w.k.release()
}

// Stop ends Run after the turn in progress. Any goroutine.
func (w *Worker) Stop() {
	w.stopped.Store(true)
	w.k.wake()
}

// turn is the loop's body; wait is how long it may sleep, as kernel.wait.
func (w *Worker) turn(wait int64) {
	w.count.Turns++
	n := w.look(wait)
	w.now = w.k.nanotime()
	w.takePosted()
	w.dispatchAll(w.events[:n])
	w.wheel.advance(w.now, w.fireTimer)
	w.drainReady()
	w.flushDirty()
	w.runLast()
	for w.later.len() > 0 {
		w.ready.push(w.later.pop())
	}
}

// tasksPerTurn bounds what one turn runs, so that coroutines that wake each
// other for ever do not keep the poller from being asked.
const tasksPerTurn = 4096

// look asks the kernel what is ready. While there is traffic the worker dozes:
// a short wait of which the Go scheduler is not told, because telling it costs
// more than a busy worker's wait itself. When a doze brings nothing the worker
// sleeps for real.
func (w *Worker) look(wait int64) int {
	w.count.Waits++
	if w.busy && wait != 0 {
		if n := w.k.doze(w.events[:], wait); n > 0 {
			return n
		}
		w.busy = false
		return 0
	}
	n := w.k.wait(w.events[:], wait)
	if n > 0 {
		w.busy = true
	}
	return n
}

// patience is how long the next turn may sleep: not at all if something is
// ready, else until the next timer.
func (w *Worker) patience() int64 {
	if w.ready.len() > 0 || len(w.dirty) > 0 || w.last.len() > 0 || w.hasPosts.Load() {
		return 0
	}
	at, ok := w.wheel.next()
	if !ok {
		return -1
	}
	return max(at*tick-w.k.nanotime(), 0)
}

func (w *Worker) dispatch(ev *event) {
	fd := int(ev.Fd)
	if fd < 0 || fd >= len(w.conns) {
		return
	}
	e := w.conns[fd]
	switch {
	case e == nil || e.gen != uint32(ev.Pad):
		// Closed earlier in this turn.
	case e.listener != nil:
		e.listener.accept()
	default:
		e.conn.event(ev.Events)
	}
}

// drainReady runs what became ready in this turn, and what that makes ready.
func (w *Worker) drainReady() {
	for n := 0; w.ready.len() > 0 && n < tasksPerTurn; n++ {
		t := w.ready.pop()
		switch {
		case t.co != nil:
			w.resume(t.co)
		case t.conn != nil:
			t.conn.queued = false
			t.conn.serve()
		default:
			w.guard(t.f)
		}
	}
}

// flushDirty writes what was gathered: one system call for all connections, or
// one for each.
func (w *Worker) flushDirty() {
	w.flushAll()
	for i := 0; i < len(w.dirty); i++ {
		c := w.dirty[i]
		w.dirty[i] = nil
		c.dirty = false
		c.Flush()
	}
	w.dirty = w.dirty[:0]
}

// Now is the monotonic time in nanoseconds at which this turn began.
func (w *Worker) Now() int64 { return w.now }

// Clock is Now read afresh from the kernel.
func (w *Worker) Clock() int64 { return w.k.nanotime() }

// Rand is the worker's source of chance; in the simulator the seed decides.
func (w *Worker) Rand() *rand.Rand { return w.rng }

// Log is where the worker's connections say what happened to them.
func (w *Worker) Log() *slog.Logger { return w.log }

// Counters gives what was counted so far.
func (w *Worker) Counters() Counters { return w.count }

// SetTimer calls f once, d from now (at least 1 ms, to the millisecond). f
// runs on the loop itself and must not yield. A timer that is set is moved.
func (w *Worker) SetTimer(t *Timer, d time.Duration, f func()) {
	t.f = f
	w.wheel.add(t, w.now+int64(d))
}

// ClearTimer takes a timer back; it is well if it is not set.
func (w *Worker) ClearTimer(t *Timer) { w.wheel.remove(t) }

// Set reports whether the timer is still to come.
func (t *Timer) Set() bool { return t.set }

// Timers is how many timers are set.
func (w *Worker) Timers() int { return w.wheel.count }

func (w *Worker) fire(t *Timer) {
	if t.conn != nil {
		t.conn.deadline()
		return
	}
	w.guard(t.f)
}

// guard runs f on the loop and keeps a panic in it from harming the others.
func (w *Worker) guard(f func()) {
	defer w.caught(nil)
	f()
}

// Next runs f at the beginning of the next turn's work, which comes at once. f
// runs on the loop itself and must not yield. Worker only.
func (w *Worker) Next(f func()) { w.nextTurn(task{f: f}) }

// Last runs f when the turn has done everything else and its writes are out: for
// work that takes long and that the others need not wait for. What f sets off
// is run and sent at once. Asked for by f itself, it comes at the end of the next
// turn, which comes at once. f runs on the loop itself and must not yield.
// Worker only.
func (w *Worker) Last(f func()) { w.last.push(f) }

// runLast ends a turn with what was asked to come last.
func (w *Worker) runLast() {
	n := w.last.len()
	if n == 0 {
		return
	}
	for range n {
		w.guard(w.last.pop())
	}
	w.drainReady()
	w.flushDirty()
}

// nextTurn queues a task behind the next look at the poller.
func (w *Worker) nextTurn(t task) { w.later.push(t) }

// closeAll closes what is open, tells those who waited, and then closes what
// they have opened meanwhile.
func (w *Worker) closeAll() {
	w.closeOpen()
	w.drainReady()
	w.flushDirty()
	w.endCoroutines()
	w.closeOpen()
}

func (w *Worker) closeOpen() {
	for _, e := range w.conns {
		switch {
		case e == nil:
		case e.conn != nil:
			e.conn.Close()
		case e.listener != nil:
			e.listener.Close()
		}
	}
}

// enter gives a new file descriptor its place and its mark.
func (w *Worker) enter(fd int, e *entry) {
	w.gen++
	e.gen = w.gen
	for fd >= len(w.conns) {
		w.conns = append(w.conns, make([]*entry, max(64, len(w.conns)))...)
	}
	w.conns[fd] = e
}

// queue is a ring of tasks that keeps its memory.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) push(t T) {
	if len(q.items) == cap(q.items) && q.head > cap(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, t)
}

func (q *queue[T]) pop() T {
	var zero T
	t := q.items[q.head]
	q.items[q.head] = zero
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return t
}
