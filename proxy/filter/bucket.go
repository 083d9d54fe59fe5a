package filter

// A token bucket that all workers take from.

import (
	"math"
	"sync/atomic"
	"time"
)

// Bucket fills at an even rate. What it keeps is the time at which it would have
// been empty (Envoy AtomicTokenBucketImpl), so that to take is to exchange one
// number. Any goroutine.
type Bucket struct {
	max, rate, first float64
	empty            atomic.Uint64 // a float64, in seconds; NaN: not asked yet
}

// NewBucket makes one that holds at most max tokens, has first of them when it is
// asked first, and is given rate tokens, over 0, every second.
func NewBucket(max, rate, first float64) *Bucket {
	b := &Bucket{max: max, rate: rate, first: first}
	b.empty.Store(math.Float64bits(math.NaN()))
	return b
}

// Max is how many tokens it holds.
func (b *Bucket) Max() float64 { return b.max }

// Rate is how many tokens it is given every second.
func (b *Bucket) Rate() float64 { return b.rate }

// tokens are those at a moment, in seconds.
func (b *Bucket) tokens(bits uint64, now float64) float64 {
	if empty := math.Float64frombits(bits); empty == empty {
		return min(b.max, (now-empty)*b.rate)
	}
	return b.first
}

// take takes what want makes of the tokens that there are.
func (b *Bucket) take(now int64, want func(tokens float64) float64) (got float64) {
	s := float64(now) / 1e9
	for {
		was := b.empty.Load()
		n := b.tokens(was, s)
		if got = want(n); got <= 0 {
			return 0
		}
		if b.empty.CompareAndSwap(was, math.Float64bits(s-(n-got)/b.rate)) {
			return got
		}
	}
}

// Take takes n tokens, if there are so many. now is the worker's time.
func (b *Bucket) Take(n float64, now int64) bool {
	return b.take(now, func(tokens float64) float64 {
		if tokens < n {
			return 0
		}
		return n
	}) > 0
}

// TakeSome takes at most n tokens.
func (b *Bucket) TakeSome(n int, now int64) int {
	return int(b.take(now, func(tokens float64) float64 { return min(float64(n), math.Floor(tokens)) }))
}

// Left is how many tokens there are, and how long until there is one.
func (b *Bucket) Left(now int64) (n uint64, wait time.Duration) {
	t := b.tokens(b.empty.Load(), float64(now)/1e9)
	if t < 1 {
		wait = time.Duration((1 - t) / b.rate * 1e9)
	}
	return uint64(max(t, 0)), wait
}
