package h2

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// turnHost counts the streams that are opened in each turn of the loop.
type turnHost struct {
	helloHost
	opened map[uint64]int
	order  []uint64
}

func (h *turnHost) Opened(s *Stream, err error) {
	turn := h.w.Counters().Turns
	if h.opened[turn]++; h.opened[turn] == 1 {
		h.order = append(h.order, turn)
	}
	h.helloHost.Opened(s, err)
}

// most is how many streams a turn had at most, of the turns from the nth on.
func (h *turnHost) most(from int) (most int) {
	for _, turn := range h.order[min(from, len(h.order)):] {
		most = max(most, h.opened[turn])
	}
	return most
}

// TestFairTurns: a hundred requests that come at once are begun in one turn; of
// thousands of frames a turn takes a share, and a small one once it is known that
// the requests come to nothing. All are looked at in the end.
func TestFairTurns(t *testing.T) {
	for _, x := range []struct {
		name         string
		requests     int
		reset        bool
		first, later int // streams in the first turn, and in one of the others, at most
	}{
		{"a hundred", 100, false, 100, 0},
		{"a thousand", 1000, false, framesPerTurn, framesPerTurn},
		{"reset at once", 240, true, 2 * suspectPerTurn, suspectPerTurn / 2},
	} {
		t.Run(x.name, func(t *testing.T) {
			h := &turnHost{opened: map[uint64]int{}}
			talk(t, h, x.requests, x.reset)
			all := 0
			for _, n := range h.opened {
				all += n
			}
			if all != x.requests || h.most(0) > max(x.first, x.later) || h.most(1) > x.later {
				t.Errorf("%d streams; in a turn %d at most, %d later", all, h.most(0), h.most(1))
			}
		})
	}
}

// talk sends requests to h in one piece, each with its reset behind it if so asked.
func talk(t *testing.T, h *turnHost, requests int, reset bool) {
	t.Helper()
	sim := loop.NewSim(1, slog.New(slog.DiscardHandler))
	defer sim.Close()
	peer := sim.Worker("peer")
	h.w = sim.Worker("here")
	o := config.H2Defaults()
	o.MaxStreams = 2000
	opts := NewOptions(&o, http1.DefaultLimits(), 1<<20, time.Second, time.Minute)
	var count Counters
	var spare Spare
	at := config.Address{IP: netip.MustParseAddrPort("10.0.0.1:80")}
	l, err := h.w.Listen(at, loop.ListenOptions{}, func(c *loop.Conn) { Serve(c, opts, h, &count, &spare) })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var enc http2.Encoder
	enc.Init(0)
	block := enc.Request(enc.Begin(nil), []byte("GET"), []byte("http"), []byte("a"), []byte("/"), nil)
	all := http2.AppendSettings([]byte(http2.Preface))
	for i := range requests {
		id := uint32(2*i + 1)
		all = http2.AppendBlock(all, id, true, block, initialFrame)
		if reset {
			all = http2.AppendReset(all, id, http2.Cancel)
		}
	}
	done := false
	peer.Go(func() {
		defer func() { done = true }()
		c, err := peer.Dial(at, 0, config.Keepalive{})
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = c.Write(all)
		peer.Sleep(time.Second)
		c.Close()
	})
	if err := sim.Run(func() bool { return done }, time.Minute); err != nil {
		t.Fatal(err)
	}
}
