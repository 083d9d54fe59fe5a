package ports

import (
	"net"
	"strconv"
	"sync"
	"testing"
)

// One port went to two Consul servers of a cluster, each of which had asked for
// its own, and the one that came second did not start.
func TestClaimedOnce(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[int]bool)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				ports, err := Claim(6)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, p := range ports {
					if seen[p] || p < First || p > Last {
						t.Errorf("port %d: given twice or out of range", p)
					}
					seen[p] = true
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(seen) != 8*20*6 {
		t.Errorf("%d ports, want %d", len(seen), 8*20*6)
	}
}

// A port that a stranger listens on is not given.
func TestTakenByAStranger(t *testing.T) {
	taken, err := Claim(1)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(taken[0])))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if free(taken[0]) {
		t.Errorf("port %d is listened on and said to be free", taken[0])
	}
}
