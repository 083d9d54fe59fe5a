package parallel

import (
	"sync/atomic"
	"testing"
)

func TestEveryPartIsDoneOnce(t *testing.T) {
	for _, n := range []int{0, 1, few, few + 1, 2*few - 1, 1000} {
		done := make([]atomic.Int32, n)
		Do(n, func(i int) { done[i].Add(1) })
		for i := range done {
			if done[i].Load() != 1 {
				t.Fatalf("part %d of %d was done %d times", i, n, done[i].Load())
			}
		}
	}
}
