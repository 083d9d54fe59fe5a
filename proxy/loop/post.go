package loop

// Post runs f on the worker's goroutine, soon, in the order of the calls. f
// must not yield; it may call Go. Functions posted after Stop may never run.
// Any goroutine.
func (w *Worker) Post(f func()) {
	w.mu.Lock()
	w.posted = append(w.posted, f)
	w.mu.Unlock()
	if !w.hasPosts.Swap(true) {
		w.k.wake()
	}
}

// takePosted runs what others handed over. The flag falls before the list is
// taken, so that what comes in between wakes the next turn.
func (w *Worker) takePosted() {
	if !w.hasPosts.Load() {
		return
	}
	w.hasPosts.Store(false)
	w.mu.Lock()
	take := w.posted
	w.posted = w.spare[:0]
	w.mu.Unlock()
	for i, f := range take {
		take[i] = nil
		w.guard(f)
	}
	w.spare = take
}
