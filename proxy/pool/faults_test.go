package pool

import (
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/loop"
)

// Whatever the host does, everything is given back and nobody waits for ever.
func TestExclusiveThroughFaults(t *testing.T) {
	for seed := range loop.Seeds(t, 1000) {
		x := newTown(t, seed)
		x.Weather()
		r := x.Rand()
		x.breaker.Connections.SetLimit(uint32(r.IntN(6)))
		x.breaker.Pending.SetLimit(uint32(r.IntN(20)))
		x.target.MaxConnecting = 1 + r.IntN(4)
		x.target.MaxUses = uint32(r.IntN(4))
		x.target.IdleTimeout = time.Duration(1+r.IntN(300)) * time.Millisecond
		for range 12 {
			x.do(x.customer)
		}
		for i := range 6 {
			x.At(time.Duration(i*50+r.IntN(50))*time.Millisecond, x.fault)
		}
		if r.IntN(3) == 0 {
			x.At(200*time.Millisecond, func() { x.w.Post(x.pool.Close) })
		}
		if err := x.Run(func() bool { return x.doing == 0 }, time.Hour); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		x.must(x.RunFor(10 * time.Second))
		x.end()
		x.Close()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func (x *town) customer() {
	r := x.Rand()
	for range 10 {
		x.w.Sleep(time.Duration(1+r.IntN(40)) * time.Millisecond)
		b := &x.breaker
		if r.IntN(3) == 0 {
			b = &x.hi
		}
		l, err := x.pool.GetWithin(b, r.IntN(4) == 0, time.Duration(r.IntN(3)*10)*time.Millisecond)
		if err != nil {
			continue
		}
		l.Conn.SetReadTimeout(time.Second)
		if converse(l.Conn) != nil || r.IntN(5) == 0 {
			l.Drop()
			continue
		}
		l.Put()
	}
}

func (x *town) fault() {
	a, d := x.target.Address, time.Duration(x.Rand().IntN(200))*time.Millisecond
	switch x.Rand().IntN(5) {
	case 0:
		x.ResetAll(a)
	case 1:
		x.Refuse(a, true)
		x.After(d, func() { x.Refuse(a, false) })
	case 2:
		x.Blackhole(a, true)
		x.After(d, func() { x.Blackhole(a, false) })
	case 3:
		x.host.Post(func() {
			for _, c := range x.accepted {
				if !c.Closed() && x.Rand().IntN(2) == 0 {
					_ = c.Send([]byte("surprise"))
				}
			}
		})
	case 4:
		x.host.Post(func() {
			for _, c := range x.accepted {
				c.Close()
			}
		})
	}
}
