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

// echo is the owner of both sides of a fuzzed connection: it reads a part of what
// comes, and answers.
type echo struct {
	t    *testing.T
	w    *loop.Worker
	live int // streams that it has
	most int // bytes that it has let lie
}

func (e *echo) Changed(*Conn)   {}
func (e *echo) Lost(*Conn)      {}
func (e *echo) Expired(c *Conn) { c.Shut(http2.NoError, "") }

func (e *echo) Opened(s *Stream, _ error) {
	e.live++
	e.w.Go(func() { e.serve(s) })
}

func (e *echo) serve(s *Stream) {
	defer func() { e.live-- }()
	defer s.Close()
	if s.conn.server && s.Head() {
		s.Status(200)
		s.SendHead(false)
		s.Send([]byte("hello"), false)
	}
	for i := 0; s.Err() == nil && !s.Last(); i++ {
		e.most = max(e.most, s.Pending())
		if i%2 == 0 {
			s.Send(s.Buffered(), false)
			s.Discard(s.Pending())
		}
		if s.Wait(time.Second) == ErrTimeout && i > 4 {
			return
		}
	}
	s.Send([]byte("bye"), true)
}

// fuzzed gives bytes to one side of a connection, in pieces, and lets a minute
// pass. Whatever they are: nothing panics, every stream is given back, and no more
// lies than the windows allow.
func fuzzed(t *testing.T, data []byte, cut uint8, server bool) {
	sim := loop.NewSim(uint64(cut), slog.New(slog.DiscardHandler))
	defer sim.Close()
	w, peer := sim.Worker("here"), sim.Worker("peer")
	e := &echo{t: t, w: w}
	o := config.H2Defaults()
	o.StreamWindow, o.ConnectionWindow, o.MaxStreams = 70_000, 100_000, 20
	opts := NewOptions(&o, http1.DefaultLimits(), 64<<10, time.Second, 5*time.Second)
	var count Counters
	var spare Spare
	at := config.Address{IP: netip.MustParseAddrPort("10.0.0.1:80")}
	var conn *Conn
	l, err := w.Listen(at, loop.ListenOptions{}, func(c *loop.Conn) {
		if server {
			conn = Serve(c, opts, e, &count, &spare)
			return
		}
		conn = Connect(c, opts, e, &count, &spare)
		for range 5 {
			s, err := conn.Open()
			if err != nil {
				t.Fatal(err)
			}
			e.live++
			w.Go(func() {
				if s.Head() {
					s.Request([]byte("GET"), []byte("http"), []byte("a"), []byte("/"), nil)
					s.SendHead(false)
				}
				e.serve(s)
			})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	done := false
	peer.Go(func() {
		defer func() { done = true }()
		c, err := peer.Dial(at, 0, config.Keepalive{})
		if err != nil {
			t.Fatal(err)
		}
		if server {
			_, _ = c.Write([]byte(http2.Preface))
		}
		for rest := data; len(rest) > 0; {
			n := min(len(rest), int(cut)+1)
			_, _ = c.Write(rest[:n])
			_ = c.Drain(0)
			rest = rest[n:]
		}
		peer.Sleep(30 * time.Second)
		c.Close()
	})
	if err := sim.Run(func() bool { return done }, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := sim.RunFor(time.Minute); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if n := w.Counters().Panics; n > 0 {
		t.Fatalf("%d panics", n)
	}
	if e.live != 0 || conn.Streams() != 0 || count.Active != 0 {
		t.Fatalf("%d streams are not given back, %d are open, the gauge says %d", e.live, conn.Streams(), count.Active)
	}
	if e.most > 100_000 {
		t.Fatalf("%d bytes lay on one stream", e.most)
	}
}

// seeds are sequences of whole frames, for both sides.
func seeds(f *testing.F, server bool) {
	var enc http2.Encoder
	enc.Init(4096)
	block := enc.Begin(nil)
	if server {
		block = enc.Request(block, []byte("POST"), []byte("http"), []byte("a"), []byte("/"), nil)
	} else {
		block = enc.Status(block, 200)
	}
	base := http2.AppendSettings(nil)
	head := http2.AppendBlock(base, 1, false, block, 16384)
	data := append(http2.AppendFrameHeader(nil, 5, http2.FrameData, 0, 1), "hello"...)
	last := append(http2.AppendFrameHeader(nil, 5, http2.FrameData, http2.FlagEndStream, 1), "hello"...)
	add := func(parts ...[]byte) {
		var all []byte
		for _, p := range parts {
			all = append(all, p...)
		}
		for _, cut := range []uint8{0, 7, 255} {
			f.Add(all, cut)
		}
	}
	add(head, data, last)
	add(head, data, http2.AppendReset(nil, 1, http2.Cancel))
	add(head, http2.AppendWindowUpdate(nil, 1, 1<<30), http2.AppendWindowUpdate(nil, 1, 1<<30))
	add(head, http2.AppendGoAway(nil, 1, http2.NoError, "x"), last)
	add(head, http2.AppendPing(nil, false, [8]byte{1}), http2.AppendSettings(nil, http2.Setting{ID: http2.SettingInitialWindowSize, Value: 1}), last)
	add(http2.AppendBlock(base, 1, true, block, 3), last)
	add(http2.AppendBlock(http2.AppendBlock(base, 3, true, block, 16384), 1, true, block, 16384))
}

func FuzzServerFrames(f *testing.F) {
	seeds(f, true)
	f.Fuzz(func(t *testing.T, data []byte, cut uint8) { fuzzed(t, data[:min(len(data), 4096)], cut, true) })
}

func FuzzClientFrames(f *testing.F) {
	seeds(f, false)
	f.Fuzz(func(t *testing.T, data []byte, cut uint8) { fuzzed(t, data[:min(len(data), 4096)], cut, false) })
}
