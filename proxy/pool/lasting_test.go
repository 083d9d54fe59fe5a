package pool

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// session is what a room does with a lasting connection: it hears of its end.
type session struct {
	*Lasting
	ups, downs int
	upAt       time.Duration
}

func (s *session) Ready(c *loop.Conn) {
	if _, err := c.Fill(); err != nil {
		s.Lost(err)
	}
	c.Discard(c.Pending())
}
func (s *session) Expired(*loop.Conn)  {}
func (s *session) Closed(c *loop.Conn) { s.Lost(loop.ErrClosed) }

func (x *town) session() *session {
	s := &session{}
	s.Lasting = NewLasting(x.w, &x.target, &x.breaker, &x.count,
		func(c *loop.Conn) { s.ups++; s.upAt = x.Now(); c.Serve(s, true) },
		func(error) { s.downs++ })
	return s
}

// endLasting closes the session and looks for leaks.
func (x *town) endLasting(s *session) {
	x.t.Helper()
	x.w.Post(s.Close)
	x.wait()
	if s.State() != Closed || s.Conn() != nil {
		x.t.Errorf("after Close: %v", s.State())
	}
	x.end()
}

func TestLastingComesUpWhenWanted(t *testing.T) {
	x := newTown(t, 1)
	s := x.session()
	x.must(x.RunFor(time.Minute))
	if s.State() != Down || x.count.Connections != 0 {
		t.Errorf("unwanted, it is %v", s.State())
	}
	x.w.Post(func() { s.Want(); s.Want() })
	x.must(x.RunFor(time.Second))
	if s.State() != Up || s.ups != 1 || s.Conn() == nil || x.count.Connections != 1 {
		t.Errorf("wanted, it is %v, %+v", s.State(), x.count)
	}
	x.endLasting(s)
}

// However long a host was away, and however it was, it is used again within a
// second of its return.
func TestLastingReturnsWithinASecond(t *testing.T) {
	away := map[string][2]func(x *town){
		"refused": {
			func(x *town) { x.Refuse(x.target.Address, true); x.ResetAll(x.target.Address) },
			func(x *town) { x.Refuse(x.target.Address, false) },
		},
		"killed": {
			func(x *town) { x.Kill(x.host) },
			func(x *town) { x.host = x.Worker("host again"); x.listen() },
		},
	}
	for name, f := range away {
		t.Run(name, func(t *testing.T) {
			for seed := range loop.Seeds(t, 50) {
				x := newTown(t, seed)
				s := x.session()
				x.w.Post(s.Want)
				x.must(x.RunFor(5 * time.Second))
				f[0](x)
				x.must(x.RunFor(time.Duration(1+x.Rand().IntN(60000)) * time.Millisecond))
				if s.State() == Up {
					t.Fatalf("seed %d: up without a host", seed)
				}
				back, before := x.Now(), s.ups
				f[1](x)
				if err := x.Run(func() bool { return s.ups > before }, time.Second+10*time.Millisecond); err != nil {
					t.Fatalf("seed %d: not up %v after the host's return: %v", seed, x.Now()-back, err)
				}
				x.endLasting(s)
				x.Close()
			}
		})
	}
}

// A host that accepts and hangs up at once is treated like one that refuses.
func TestLastingBacksOffFromAHostThatHangsUp(t *testing.T) {
	x := newTown(t, 1)
	x.listener.Close()
	l, err := x.host.Listen(x.target.Address, loop.ListenOptions{}, func(c *loop.Conn) { c.Close() })
	x.must(err)
	x.listener = l
	s := x.session()
	x.w.Post(s.Want)
	x.must(x.RunFor(time.Minute))
	if s.ups < 60 || s.ups > 250 {
		t.Errorf("%d connections in a minute; full jitter up to 1 s makes about 120", s.ups)
	}
	x.endLasting(s)
}

// Two workers whose host hangs up on both do not call each other on: a wait is cut
// short once.
func TestLastingHurriesOnce(t *testing.T) {
	x := newTown(t, 1)
	x.listener.Close()
	l, err := x.host.Listen(x.target.Address, loop.ListenOptions{}, func(c *loop.Conn) { c.Close() })
	x.must(err)
	x.listener = l
	a, b := x.session(), x.session()
	x.w.Post(func() { a.Want(); b.Want() })
	for range 60_000 { // as if a command came each millisecond to both
		x.w.Post(func() { a.Hurry(); b.Hurry() })
		x.must(x.RunFor(time.Millisecond))
	}
	if n := a.ups + b.ups; n < 120 || n > 500 {
		t.Errorf("%d connections of two in a minute; full jitter up to 1 s makes about 240", n)
	}
	x.w.Post(a.Close)
	x.endLasting(b)
}

func TestLastingCloseWhileConnecting(t *testing.T) {
	x := newTown(t, 1)
	s := x.session()
	x.SetLink(x.target.Address, loop.Link{Latency: 100 * time.Millisecond})
	x.w.Post(s.Want)
	x.must(x.RunFor(50 * time.Millisecond))
	if s.State() != Connecting {
		t.Fatalf("state %v", s.State())
	}
	x.endLasting(s)
	if s.ups+s.downs != 0 {
		t.Errorf("told of %d ups and %d downs after Close", s.ups, s.downs)
	}
}

func TestLastingThroughFaults(t *testing.T) {
	for seed := range loop.Seeds(t, 1000) {
		x := newTown(t, seed)
		x.Weather()
		s := x.session()
		x.w.Post(s.Want)
		for i := range 8 {
			x.At(time.Duration(i*100+x.Rand().IntN(100))*time.Millisecond, x.fault)
		}
		x.must(x.RunFor(5 * time.Second))
		if s.State() != Up {
			t.Errorf("seed %d: %v three seconds after the last fault", seed, s.State())
		}
		if used := x.breaker.Connections.Used(); used != 1 {
			t.Errorf("seed %d: %d connections counted", seed, used)
		}
		x.endLasting(s)
		x.Close()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestBackoffIsFullJitter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := config.Backoff{Base: 25 * time.Millisecond, Cap: time.Second}
	for failures, limit := range map[int]time.Duration{
		1: 25 * time.Millisecond, 2: 50 * time.Millisecond, 4: 200 * time.Millisecond, 7: time.Second, 1000: time.Second,
	} {
		least, most := time.Hour, time.Duration(0)
		for range 2000 {
			d := backoffWait(b, failures, r)
			least, most = min(least, d), max(most, d)
		}
		if least <= 0 || least > limit/100 || most > limit || most < limit*99/100 {
			t.Errorf("after %d failures: %v to %v, want 0 to %v", failures, least, most, limit)
		}
	}
}

func TestOutcomeSortsErrors(t *testing.T) {
	for err, want := range map[error]string{
		nil: "", ErrOverflow: "UO", ErrGone: "UH", ErrWaited: "UT", loop.ErrTimeout: "UF", errors.New("else"): "UF",
	} {
		if got := Outcome(err).Flag(); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}
