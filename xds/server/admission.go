package server

import (
	"context"
	"slices"
	"sync"
	"time"
)

// admission is a token bucket before new streams. Who finds it empty waits in
// line; streams that a sidecar cannot do without go before the others, and
// within a line it is first come, first served. A wait that would be too long is
// refused at once, with the time after which it is worth another try. Any
// goroutine.
type admission struct {
	rate  float64 // tokens per second
	burst float64
	most  time.Duration // the longest wait

	mu      sync.Mutex
	granted uint64 // tokens, since ever
	tokens  float64
	filled  time.Time    // when tokens was right
	lines   [2][]*waiter // required, others
	timer   *time.Timer
}

// waiter is one stream in line.
type waiter struct{ admitted chan struct{} }

func newAdmission(l Limits) *admission {
	return &admission{rate: l.StreamRate, burst: float64(l.StreamBurst), most: l.StreamWait, tokens: float64(l.StreamBurst), filled: time.Now()}
}

// enter waits for a token. A positive retry means that there was none to be had
// in time; otherwise err says that ctx ended.
func (a *admission) enter(ctx context.Context, required bool) (retry time.Duration, err error) {
	w, retry := a.line(required)
	if w == nil {
		return retry, nil
	}
	limit := time.NewTimer(a.most)
	defer limit.Stop()
	select {
	case <-w.admitted:
		return 0, nil
	case <-ctx.Done():
		return 0, a.giveUp(w, ctx.Err())
	case <-limit.C:
		if a.giveUp(w, context.DeadlineExceeded) == nil {
			return 0, nil
		}
		return a.most, nil
	}
}

// line takes a token, or a place in line, or neither.
func (a *admission) line(required bool) (w *waiter, retry time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refill()
	ahead := len(a.lines[0])
	if !required {
		ahead += len(a.lines[1])
	}
	if ahead == 0 && a.tokens >= 1 {
		a.tokens--
		a.granted++
		return nil, 0
	}
	if wait := a.after(float64(ahead) + 1 - a.tokens); wait > a.most {
		return nil, wait
	}
	w = &waiter{make(chan struct{})}
	place := 1
	if required {
		place = 0
	}
	a.lines[place] = append(a.lines[place], w)
	a.schedule()
	return w, 0
}

// giveUp leaves the line with err; nil if w was admitted just now.
func (a *admission) giveUp(w *waiter, err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.lines {
		if at := slices.Index(a.lines[i], w); at >= 0 {
			a.lines[i] = slices.Delete(a.lines[i], at, at+1)
			return err
		}
	}
	return nil
}

// admit lets in as many as there are tokens for.
func (a *admission) admit() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.timer = nil
	a.refill()
	for i := range a.lines {
		n := min(len(a.lines[i]), int(a.tokens))
		for _, w := range a.lines[i][:n] {
			close(w.admitted)
		}
		a.lines[i] = slices.Delete(a.lines[i], 0, n)
		a.tokens -= float64(n)
		a.granted += uint64(n)
	}
	a.schedule()
}

// schedule has admit called when there is a token for someone.
func (a *admission) schedule() {
	if a.timer == nil && len(a.lines[0])+len(a.lines[1]) > 0 {
		a.timer = time.AfterFunc(max(a.after(1-a.tokens), time.Millisecond), a.admit)
	}
}

func (a *admission) refill() {
	now := time.Now()
	a.tokens = min(a.burst, a.tokens+a.rate*now.Sub(a.filled).Seconds())
	a.filled = now
}

func (a *admission) after(tokens float64) time.Duration {
	return time.Duration(tokens / a.rate * float64(time.Second))
}

// state is how many are in line, and how many were let in since ever.
func (a *admission) state() (waiting int, granted uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.lines[0]) + len(a.lines[1]), a.granted
}
