// Package parallel does work that has many independent parts on all processors,
// and waits for it: the start with 10,000 clusters.
package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// few parts are done by the caller: a goroutine costs more.
const few = 64

// Do calls f for 0 to n-1, each once, in no order, and returns when all calls have.
// f must be safe for several goroutines at a time. Not for workers: it waits.
func Do(n int, f func(i int)) {
	if n <= few || runtime.GOMAXPROCS(0) == 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n/few) {
		all.Go(func() {
			for {
				to := int(next.Add(few))
				if to-few >= n {
					return
				}
				for i := to - few; i < min(to, n); i++ {
					f(i)
				}
			}
		})
	}
	all.Wait()
}
