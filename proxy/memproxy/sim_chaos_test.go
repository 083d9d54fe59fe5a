package memproxy

// Does every command get its own answer, whatever happens to the shards?

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// shardFaults are what may happen to a shard; each ends by itself after d.
var shardFaults = []struct {
	name string
	hit  func(w *chaos, b *backend, d time.Duration)
}{
	{"kill", func(w *chaos, b *backend, d time.Duration) { w.killFor(b, d) }},
	{"kill within a reply", func(w *chaos, b *backend, d time.Duration) {
		b.halt = func(answer []byte) []byte {
			if b.halt = nil; b.down {
				return answer
			}
			w.After(0, func() { w.killFor(b, d) })
			return answer[:w.Rand().IntN(len(answer))]
		}
	}},
	{"reset", func(w *chaos, b *backend, d time.Duration) { w.ResetAll(b.addr) }},
	{"close", func(w *chaos, b *backend, d time.Duration) {
		for _, c := range b.open {
			c.CloseWrite()
		}
	}},
	{"refuse", func(w *chaos, b *backend, d time.Duration) {
		w.ResetAll(b.addr)
		w.Refuse(b.addr, true)
		w.After(d, func() { w.Refuse(b.addr, false) })
	}},
	{"black hole", func(w *chaos, b *backend, d time.Duration) {
		w.Blackhole(b.addr, true)
		w.After(d, func() { w.Blackhole(b.addr, false) })
	}},
	{"stall", func(w *chaos, b *backend, d time.Duration) {
		w.Stall(b.addr, true)
		w.After(d, func() { w.Stall(b.addr, false) })
	}},
	{"freeze", func(w *chaos, b *backend, d time.Duration) {
		p := b.worker
		w.Freeze(p, true)
		w.After(d, func() { w.Freeze(p, false) })
	}},
	{"slow", func(w *chaos, b *backend, d time.Duration) {
		b.delay = 30 * time.Millisecond
		w.After(d, func() { b.delay = 0 })
	}},
	{"leave and come", func(w *chaos, b *backend, d time.Duration) {
		w.swapped = true
		some := *w.cluster
		some.Endpoints = without(w.cluster.Endpoints, b.addr)
		must(w.t, w.up.Update(&some))
		w.After(d, func() { must(w.t, w.up.Update(w.cluster)) })
	}},
	{"a new room", func(w *chaos, b *backend, d time.Duration) {
		w.retired = append(w.retired, w.room) // and it is not told
		w.serve(w.cfg)
	}},
	{"a new cluster", func(w *chaos, b *backend, d time.Duration) {
		w.replace()
		w.After(d, w.replace)
	}},
	{"the same again", func(w *chaos, b *backend, d time.Duration) { w.again() }},
}

// replace serves on with another cluster of the same hosts: the clients of the
// room before are sent away, and its cluster goes when it is asked nothing more
// (proxy.Server.Apply).
func (w *chaos) replace() {
	w.retired = append(w.retired, w.room)
	rooms, up := w.retired, w.up
	w.open()
	w.serve(w.cfg)
	for _, r := range rooms {
		r.Drain(w.proxy)
	}
	w.closeLater(rooms, up, 30)
}

func (w *chaos) closeLater(rooms []*Room, up *upstream.Cluster, seconds int) {
	active := 0
	for _, r := range rooms {
		active += r.Active(w.proxy)
	}
	if active == 0 || seconds == 0 {
		up.Close()
		return
	}
	w.After(time.Second, func() { w.closeLater(rooms, up, seconds-1) })
}

// again updates the cluster with equal endpoints that are other values, in
// another order: no key moves, no connection is lost.
func (w *chaos) again() {
	next := *w.cluster
	l := next.Endpoints.Localities[0]
	l.Endpoints = nil
	for _, e := range w.cluster.Endpoints.Localities[0].Endpoints {
		other := *e
		l.Endpoints = append([]*config.Endpoint{&other}, l.Endpoints...)
	}
	next.Endpoints.Localities = []config.Locality{l}
	if k := next.Balance.Kind; k == config.MaglevLB {
		w.swapped = true // its turns are by the order of hosts
	}
	must(w.t, w.up.Update(&next))
}

func without(all config.Endpoints, gone config.Address) config.Endpoints {
	l := all.Localities[0]
	kept := []*config.Endpoint{}
	for _, e := range l.Endpoints {
		if e.Address != gone {
			kept = append(kept, e)
		}
	}
	l.Endpoints = kept
	all.Localities = []config.Locality{l}
	return all
}

// chaos is a world with writers and readers that know what they may hear.
type chaos struct {
	*world
	cfg     config.Memcached
	swapped bool // keys may have moved, and moved back
	left    int
	answers int
	errors  int
}

func (w *chaos) killFor(b *backend, d time.Duration) {
	if b.down {
		return
	}
	b.down = true
	b.kill()
	w.After(d, func() {
		b.down = false
		b.start()
	})
}

// record is what a writer knows of a key of its own.
type record struct {
	key      string
	size     int
	written  int  // the last version that was sent
	acked    int  // the last that was STORED
	doubtful bool // a write failed: nobody knows whether, and when, it counts
}

func (r *record) value(version int) string {
	return fmt.Sprintf("%s:%d:%s", r.key, version, strings.Repeat("x", r.size))
}

// check takes a value that was read.
func (w *chaos) check(r *record, acked int, data string) {
	key, rest, _ := strings.Cut(data, ":")
	v, pad, _ := strings.Cut(rest, ":")
	n, err := strconv.Atoi(v)
	switch {
	case key != r.key || err != nil || len(pad) != r.size:
		w.t.Errorf("key %s: answered with %.60q", r.key, data)
	case n > r.written:
		w.t.Errorf("key %s: version %d was never written", r.key, n)
	case n < acked && !r.doubtful && !w.swapped:
		w.t.Errorf("key %s: version %d after %d was acknowledged", r.key, n, acked)
	}
}

// step is one command that was sent and what it may be answered with.
type step struct {
	set     *record
	version int
	gets    []*record
	acked   []int // what was acknowledged before, of each
}

// citizen is one client.
type citizen struct {
	*chaos
	app   *app
	depth int
	own   []*record
}

func (c *citizen) pick() *record { return c.own[c.Rand().IntN(len(c.own))] }

// plan says one command and returns what to expect; nil if no answer comes.
func (c *citizen) plan(text *strings.Builder) *step {
	switch c.Rand().IntN(10) {
	case 0, 1, 2:
		r := c.pick()
		r.written++
		v := r.value(r.written)
		fmt.Fprintf(text, "set %s 0 0 %d\r\n%s\r\n", r.key, len(v), v)
		return &step{set: r, version: r.written}
	case 3:
		r := c.pick()
		r.written++
		r.doubtful = true // nobody says whether it was stored
		v := r.value(r.written)
		fmt.Fprintf(text, "set %s 0 0 %d noreply\r\n%s\r\n", r.key, len(v), v)
		return nil
	case 4:
		text.WriteString("version\r\n")
		return &step{}
	}
	n := 1
	if c.Rand().IntN(3) == 0 {
		n = 1 + c.Rand().IntN(12)
	}
	s := &step{}
	text.WriteString("get")
	for range n {
		r := c.pick()
		s.gets = append(s.gets, r)
		s.acked = append(s.acked, r.acked)
		text.WriteString(" " + r.key)
	}
	text.WriteString("\r\n")
	return s
}

// hear reads the one answer to a step; io.EOF: the connection is gone.
func (c *citizen) hear(s *step) error {
	line := c.app.line()
	c.answers++
	if strings.HasPrefix(line, "<closed>") {
		return io.EOF
	}
	switch {
	case s.set != nil && line == "STORED":
		s.set.acked = max(s.set.acked, s.version)
		return nil
	case s.set == nil && s.gets == nil:
		if line != "VERSION 1.6.18-attache" {
			c.t.Errorf("version was answered with %q", line)
		}
		return nil
	}
	for i := 0; strings.HasPrefix(line, "VALUE ") && s.set == nil; i++ {
		f := strings.Fields(line)
		for i < len(s.gets) && s.gets[i].key != f[1] {
			i++ // a miss
		}
		if i == len(s.gets) {
			c.t.Errorf("%q was not asked for, or not in this order", line)
			return io.EOF
		}
		n, _ := strconv.Atoi(f[3])
		data, err := c.app.data(n)
		if err != nil {
			return io.EOF
		}
		c.check(s.gets[i], s.acked[i], data)
		line = c.app.line()
	}
	switch {
	case strings.HasPrefix(line, "<closed>"):
		return io.EOF
	case strings.HasPrefix(line, "SERVER_ERROR "):
		c.errors++
		if !strings.HasSuffix(line, "(cluster shards)") {
			c.t.Errorf("error %q does not name the cluster", line)
		}
		if s.set != nil {
			s.set.doubtful = true
		}
	case line != "END" || s.set != nil:
		c.t.Errorf("%+v was answered with %q", s, line)
	}
	return nil
}

// talk has one exchange: a batch of commands, and their answers.
func (c *citizen) talk() {
	var text strings.Builder
	var steps []*step
	for range 1 + c.Rand().IntN(c.depth) {
		if s := c.plan(&text); s != nil {
			steps = append(steps, s)
		}
	}
	if c.app == nil {
		c.app = c.connect()
	}
	c.app.say(text.String())
	leave := -1
	if c.Rand().IntN(12) == 0 { // goes away before it was answered
		leave = c.Rand().IntN(len(steps) + 1)
		c.apps.Sleep(time.Duration(c.Rand().IntN(20)) * time.Millisecond)
	}
	for i, s := range steps {
		if i != leave && c.hear(s) == nil {
			continue
		}
		for _, s := range steps[i:] {
			if s.set != nil {
				s.set.doubtful = true
			}
		}
		if c.Rand().IntN(2) == 0 {
			c.app.Reset()
		}
		c.app.Conn.Close()
		c.app = nil
		return
	}
	if c.app.Pending() > 0 {
		c.t.Errorf("answered too much: %q", c.app.Buffered())
	}
}

// live talks a while, and then until its keys can be had again.
func (c *citizen) live() {
	defer func() { c.left-- }()
	for range 12 {
		c.talk()
		c.apps.Sleep(time.Duration(c.Rand().IntN(60)) * time.Millisecond)
	}
	for _, r := range c.own {
		for try := 0; ; try++ {
			if c.app == nil {
				c.app = c.connect()
			}
			before := c.errors
			c.app.say("get " + r.key + "\r\n")
			if c.hear(&step{gets: []*record{r}, acked: []int{r.acked}}) != nil {
				c.app.Conn.Close()
				c.app = nil
			} else if c.errors == before {
				break
			}
			if try == 200 {
				c.t.Errorf("key %s cannot be had any more", r.key)
				return
			}
			c.apps.Sleep(100 * time.Millisecond)
		}
	}
	c.app.say("quit\r\n")
	if l := c.app.line(); l != "<closed>" {
		c.t.Errorf("quit was answered with %q", l)
	}
	c.app.Conn.Close()
}

func runChaos(t *testing.T, seed uint64) {
	s := loop.NewSim(seed, nil)
	defer s.Close()
	link := s.Weather()
	slow := link.MaxSegment > 0 && link.MaxSegment < 100 || link.Buffer > 0 && link.Buffer < 1000
	rng := s.Rand()
	cfg := config.Memcached{
		OpTimeout: time.Duration(200+rng.IntN(1000)) * time.Millisecond, CatchAll: "shards",
		MissOnFailure: rng.IntN(4) == 0,
	}
	kinds := []config.BalanceKind{config.RingHashLB, config.MaglevLB, config.Rendezvous, config.Ketama, config.Libmemcached}
	w := &chaos{cfg: cfg, world: newWorld(t, s, 1+rng.IntN(4), cfg, func(c *config.Cluster) {
		c.Balance.Kind = kinds[rng.IntN(len(kinds))]
		c.Pool.Connections = uint32(1 + rng.IntN(3)/2)
	})}
	w.limit = 1 << (12 + rng.IntN(9))
	for i := range 2 + rng.IntN(4) {
		c := &citizen{chaos: w, depth: 1 << rng.IntN(6)}
		for j := range 1 + rng.IntN(8) {
			r := &record{key: fmt.Sprintf("c%d-k%d", i, j), size: rng.IntN(60)}
			if rng.IntN(20) == 0 && !slow { // else it takes longer than a command may
				r.size = 17000 + rng.IntN(20000) // a value that streams
			}
			c.own = append(c.own, r)
		}
		w.left++
		w.apps.Go(c.live)
	}
	for range rng.IntN(5) {
		f := shardFaults[rng.IntN(len(shardFaults))]
		b := w.shards[rng.IntN(len(w.shards))]
		d := time.Duration(1+rng.IntN(1500)) * time.Millisecond
		s.At(time.Duration(rng.IntN(1200))*time.Millisecond, func() { f.hit(w, b, d) })
	}
	must(t, s.Run(func() bool { return w.left == 0 }, 10*time.Minute))
	must(t, s.RunFor(3*time.Second)) // every fault ends
	w.settle()
	if p := w.proxy.Counters().Panics; p != 0 {
		t.Errorf("%d panics", p)
	}
}

func TestSimChaos(t *testing.T) {
	for seed := range loop.Seeds(t, 200) {
		runChaos(t, seed)
	}
}
