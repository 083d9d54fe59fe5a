package pool

import (
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// echo answers everything with itself; it ends when the client does.
type echo struct{}

func (echo) Ready(c *loop.Conn) {
	for {
		n, err := c.Fill()
		_ = c.Send(c.Buffered())
		c.Discard(c.Pending())
		if err != nil {
			c.Close()
			return
		}
		if n == 0 {
			return
		}
	}
}
func (echo) Expired(*loop.Conn) {}
func (echo) Closed(*loop.Conn)  {}

// town is a host, and a proxy that has a pool for it.
type town struct {
	*loop.Sim
	t           *testing.T
	host, w     *loop.Worker
	listener    *loop.Listener
	accepted    []*loop.Conn
	target      Target
	count       Counters
	breaker, hi Breaker
	pool        *Exclusive
	doing       int
}

func newTown(t *testing.T, seed uint64) *town {
	x := &town{Sim: loop.NewSim(seed, nil), t: t}
	t.Cleanup(x.Close)
	x.host, x.w = x.Worker("host"), x.Worker("proxy")
	x.target = Target{
		Address:        config.Address{IP: netip.MustParseAddrPort("10.0.0.1:80")},
		ConnectTimeout: time.Second,
		Backoff:        config.Backoff{Base: 25 * time.Millisecond, Cap: time.Second},
		MaxConnecting:  8,
		Seen:           &Seen{},
	}
	for _, b := range []*Breaker{&x.breaker, &x.hi} {
		b.Connections.SetLimit(1024)
		b.Pending.SetLimit(1024)
	}
	x.listen()
	x.pool = NewExclusive(x.w, &x.target, &x.count)
	return x
}

func (x *town) listen() {
	l, err := x.host.Listen(x.target.Address, loop.ListenOptions{}, func(c *loop.Conn) {
		x.accepted = append(x.accepted, c)
		c.Serve(echo{}, true)
	})
	x.must(err)
	x.listener = l
}

func (x *town) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

// do runs f in a coroutine of the proxy; wait waits until all of them are done
// and nothing moves any more.
func (x *town) do(f func()) {
	x.doing++
	x.w.Go(func() { defer func() { x.doing-- }(); f() })
}

func (x *town) wait() {
	x.t.Helper()
	x.must(x.Run(func() bool { return x.doing == 0 && x.Quiet() }, time.Hour))
}

// get leases and asks the host something.
func (x *town) get(b *Breaker, fresh bool) *Lease {
	x.t.Helper()
	l, err := x.pool.Get(b, fresh)
	if err != nil {
		x.t.Errorf("get: %v", err)
		return nil
	}
	x.ask(l)
	return l
}

func (x *town) ask(l *Lease) {
	x.t.Helper()
	if err := converse(l.Conn); err != nil {
		x.t.Errorf("ask: %v", err)
	}
}

func converse(c *loop.Conn) error {
	_ = c.Send([]byte("hello"))
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != "hello" {
		return fmt.Errorf("got %q", got)
	}
	return nil
}

// empty checks that everything was given back.
func (x *town) empty() {
	x.t.Helper()
	for i, b := range []*Breaker{&x.breaker, &x.hi} {
		if b.Connections.Used() != 0 || b.Pending.Used() != 0 {
			x.t.Errorf("breaker %d: %d connections, %d pending are still counted", i, b.Connections.Used(), b.Pending.Used())
		}
	}
	if p := x.pool; p.Idle() != 0 || p.InUse() != 0 || p.dialing != 0 || len(p.waiting) != 0 {
		x.t.Errorf("pool: %d idle, %d in use, %d dialing, %d waiting", p.Idle(), p.InUse(), p.dialing, len(p.waiting))
	}
	if x.count.Active != 0 || x.count.PendingActive != 0 || x.target.Seen.Active.Load() != 0 {
		x.t.Errorf("gauges: %+v, seen %d", x.count, x.target.Seen.Active.Load())
	}
	if x.count.Connections != x.count.Destroyed+x.count.ConnectFail {
		x.t.Errorf("%d connections tried, %d destroyed, %d failed", x.count.Connections, x.count.Destroyed, x.count.ConnectFail)
	}
}

// end closes everything and looks for leaks.
func (x *town) end() {
	x.t.Helper()
	x.pool.Close()
	x.wait()
	x.empty()
	x.listener.Close()
	for _, c := range x.accepted {
		c.Close()
	}
	x.wait()
	if err := x.Leaks(); err != nil {
		x.t.Error(err)
	}
}
