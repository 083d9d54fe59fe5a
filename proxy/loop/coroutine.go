package loop

import (
	"fmt"
	"iter"
	"runtime/debug"
	"time"
)

// coroutine is a stack on which blocking code runs: an iter.Pull whose next
// resumes it and whose yield parks it. A switch costs tens of nanoseconds.
// Coroutines are pooled: an idle connection holds none.
type coroutine struct {
	w     *Worker
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool

	conn  *Conn  // whose handler it runs, or nil
	f     func() // what it runs if conn is nil
	index int    // in Worker.live
}

// maxIdle bounds the coroutines that a worker keeps for later.
const maxIdle = 1024

// Go runs f in a coroutine, in this turn. Worker only.
func (w *Worker) Go(f func()) {
	co := w.coroutine()
	co.f = f
	w.ready.push(task{co: co})
}

// Yield lets the others run first and comes back in the next turn. For
// coroutines only.
func (w *Worker) Yield() {
	w.nextTurn(task{co: w.current})
	w.park()
}

// Sleep yields for d (to the millisecond). For coroutines only.
func (w *Worker) Sleep(d time.Duration) {
	co := w.current
	var t Timer
	w.SetTimer(&t, d, func() { w.ready.push(task{co: co}) })
	w.park()
}

// Offload runs f, which may block, on an ordinary goroutine and returns when it
// is done. f must not touch anything of the worker's; a panic in it goes on in
// the coroutine. For coroutines only.
func (w *Worker) Offload(f func()) {
	co := w.current
	var failed any
	w.k.offload(func() {
		defer func() {
			if p := recover(); p != nil {
				failed = fmt.Sprintf("offloaded: %v\n%s", p, debug.Stack())
			}
		}()
		f()
	}, func() { w.Post(func() { w.ready.push(task{co: co}) }) })
	w.park()
	if failed != nil {
		panic(failed)
	}
}

// InCoroutine reports whether the caller may yield.
func (w *Worker) InCoroutine() bool { return w.current != nil }

// Waiter is a place where one coroutine waits until another part of the worker
// calls Wake. Its zero value is ready to use.
type Waiter struct{ co *coroutine }

// Wait yields until Wake. For coroutines only, one at a time.
func (x *Waiter) Wait(w *Worker) {
	if x.co != nil {
		panic("loop: two coroutines in one waiter")
	}
	x.co = w.current
	w.park()
}

// Wake lets the waiting coroutine go on in this turn; nothing waits: nothing
// happens. Worker only.
func (x *Waiter) Wake(w *Worker) {
	if co := x.co; co != nil {
		x.co = nil
		w.ready.push(task{co: co})
	}
}

// Waiting reports whether a coroutine waits here.
func (x *Waiter) Waiting() bool { return x.co != nil }

// coroutine takes one from the pool or makes it.
func (w *Worker) coroutine() *coroutine {
	w.count.Running++
	if n := len(w.idle); n > 0 {
		co := w.idle[n-1]
		w.idle[n-1] = nil
		w.idle = w.idle[:n-1]
		return co
	}
	w.count.Coroutines++
	co := &coroutine{w: w, index: len(w.live)}
	w.live = append(w.live, co)
	co.next, co.stop = iter.Pull(co.loop)
	return co
}

// loop is the coroutine's life: run what it was given, go back to the pool,
// wait for the next.
func (co *coroutine) loop(yield func(struct{}) bool) {
	co.yield = yield
	for {
		co.run()
		co.conn, co.f = nil, nil
		w := co.w
		w.count.Running--
		if len(w.idle) >= maxIdle || w.ended {
			w.forget(co)
			return
		}
		w.idle = append(w.idle, co)
		if !yield(struct{}{}) {
			w.forget(co)
			return
		}
	}
}

// run runs one piece of work; a panic in it costs its connection and no other.
func (co *coroutine) run() {
	c := co.conn
	if c != nil {
		defer c.served()
	}
	defer co.w.caught(c)
	switch {
	case c == nil:
		co.f()
	case !c.closed: // it may have ended while it was queued
		c.handler.Ready(c)
	}
}

// resume lets co run until it parks or ends.
func (w *Worker) resume(co *coroutine) {
	before := w.current
	w.current = co
	co.next()
	w.current = before
}

// park gives the worker back to the loop until somebody queues the coroutine.
func (w *Worker) park() {
	co := w.current
	if co == nil {
		panic("loop: only a coroutine can wait")
	}
	if !co.yield(struct{}{}) {
		panic(errStopped)
	}
	w.current = co
}

// caught ends a panic: it is counted and logged with its stack, and c, if there
// is one, is closed. For use with defer.
func (w *Worker) caught(c *Conn) {
	p := recover()
	if p == nil || p == errStopped {
		return
	}
	w.count.Panics++
	peer := "none"
	if c != nil {
		peer = c.Peer().String()
	}
	w.log.Error("panic on worker; its connection is closed", "worker", w.ID, "peer", peer, "panic", p, "stack", string(debug.Stack()))
	if c != nil {
		c.Reset()
	}
}

// forget takes a coroutine that ends off the list.
func (w *Worker) forget(co *coroutine) {
	w.count.Coroutines--
	last := w.live[len(w.live)-1]
	w.live[co.index], last.index = last, co.index
	w.live = w.live[:len(w.live)-1]
}

// endCoroutines unwinds every coroutine, waiting or pooled.
func (w *Worker) endCoroutines() {
	w.ended = true
	for len(w.live) > 0 {
		co := w.live[len(w.live)-1]
		before := w.current
		w.current = co
		co.stop()
		w.current = before
		if i := co.index; i < len(w.live) && w.live[i] == co { // it never began, or left by Goexit
			w.count.Running--
			w.forget(co)
		}
	}
	w.idle = nil
}

var errStopped = stopped{}

// stopped unwinds a coroutine whose worker has ended.
type stopped struct{}

func (stopped) Error() string { return "loop: worker stopped" }
