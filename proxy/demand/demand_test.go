package demand

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// plane is a control plane that answers when it is told to.
type plane struct{ done map[string][]func(bool) }

func (p *plane) ask(d config.Demand, done func(bool)) {
	p.done[d.Name] = append(p.done[d.Name], done)
}

func (p *plane) answer(name string, found bool) {
	for _, done := range p.done[name] {
		done(found)
	}
	delete(p.done, name)
}

func cluster(name string) config.Demand {
	return config.Demand{Kind: config.DemandCluster, Name: name, Timeout: time.Second}
}

// world is a desk in the simulator; said is what waits have ended with, and when.
type world struct {
	*testing.T
	sim  *loop.Sim
	w    *loop.Worker
	p    *plane
	desk *Desk
	said []string
}

func newWorld(t *testing.T) *world {
	sim := loop.NewSim(1, slog.New(slog.DiscardHandler))
	t.Cleanup(sim.Close)
	p := &plane{map[string][]func(bool){}}
	return &world{t, sim, sim.Worker("w"), p, New(1, p.ask), nil}
}

// waits begins a wait at a time.
func (x *world) waits(at time.Duration, name string) {
	x.sim.At(at, func() {
		x.w.Post(func() {
			x.w.Go(func() {
				t := x.desk.Ask(x.w, cluster(name))
				if t == nil {
					x.said = append(x.said, name+" nobody is asked")
					return
				}
				found := t.Wait()
				x.said = append(x.said, fmt.Sprintf("%s found=%v late=%v at %s", name, found, t.Late(), x.sim.Now().Round(10*time.Millisecond)))
			})
		})
	})
}

func (x *world) ends(want ...string) {
	x.Helper()
	if err := x.sim.Run(func() bool { return len(x.said) == len(want) }, time.Minute); err != nil {
		x.Fatal(err)
	}
	for i, text := range want {
		if x.said[i] != text {
			x.Errorf("%q, want %q", x.said[i], text)
		}
	}
	if l := &x.desk.per[0]; l.waiting != 0 {
		x.Errorf("%d still wait", l.waiting)
	}
}

// Those who want the same wait for one answer; one that does not come costs each its
// own time, and one that comes late is nobody's.
func TestWaits(t *testing.T) {
	x := newWorld(t)
	x.waits(0, "a")
	x.waits(100*time.Millisecond, "a")
	x.waits(200*time.Millisecond, "none")
	x.waits(200*time.Millisecond, "silent")
	x.waits(700*time.Millisecond, "silent")
	x.sim.At(300*time.Millisecond, func() {
		if len(x.p.done["a"]) != 1 {
			t.Errorf("asked %d times", len(x.p.done["a"]))
		}
		x.p.answer("a", true)
	})
	x.sim.At(400*time.Millisecond, func() { x.p.answer("none", false) })
	x.sim.At(5*time.Second, func() { x.p.answer("silent", true) })
	x.waits(6*time.Second, "silent")
	x.sim.At(6100*time.Millisecond, func() { x.p.answer("silent", true) })
	x.ends("a found=true late=false at 300ms", "a found=true late=false at 300ms", "none found=false late=false at 400ms",
		"silent found=false late=true at 1.2s", "silent found=false late=true at 1.7s", "silent found=true late=false at 6.1s")
}

// Whoever is too many is told so at once.
func TestBounds(t *testing.T) {
	x := newWorld(t)
	var tickets []*Ticket
	ask := func(name string) bool {
		ticket := x.desk.Ask(x.w, cluster(name))
		if ticket != nil {
			tickets = append(tickets, ticket)
		}
		return ticket != nil
	}
	for i := range MaxAsked {
		if !ask(fmt.Sprint(i)) {
			t.Fatal("too early")
		}
	}
	if ask("one more") {
		t.Error("more is asked for than may be")
	}
	for range MaxWaiting - MaxAsked {
		if !ask("0") {
			t.Fatal("too early")
		}
	}
	if ask("0") {
		t.Error("more wait than may")
	}
	for _, ticket := range tickets {
		ticket.Cancel()
		ticket.Cancel()
	}
	if !ask("0") {
		t.Error("what was cancelled still waits")
	}
	if New(1, nil).Ask(x.w, cluster("a")) != nil || (*Desk)(nil).Ask(x.w, cluster("a")) != nil {
		t.Error("nobody was asked")
	}
}
