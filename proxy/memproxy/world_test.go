package memproxy

// A simulated town for the scenarios: memcached servers, a proxy, clients.

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/memcache"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/upstream"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func at(addr string) config.Address {
	return config.Address{IP: netip.MustParseAddrPort(addr)}
}

// world is one simulation with a proxy in it.
type world struct {
	*loop.Sim
	t       testing.TB
	proxy   *loop.Worker
	apps    *loop.Worker
	addr    config.Address // where the proxy listens
	limit   int            // bytes per connection
	cluster *config.Cluster
	shards  []*backend
	workers []*loop.Worker // of the proxy
	up      *upstream.Cluster
	room    *Room
	retired []*Room // whose clients are sent away
	listen  *loop.Listener
}

// backend is a memcached server of the simulation, strict and small.
type backend struct {
	*world
	addr   config.Address
	worker *loop.Worker
	listen *loop.Listener
	store  map[string]stored
	cas    uint64
	asked  []string      // command words that came, if wanted
	delay  time.Duration // before each answer
	halt   func(answer []byte) []byte
	open   []*loop.Conn
	down   bool
}

type stored struct {
	flags string
	data  string
	cas   uint64
}

func shardAddr(i int) config.Address { return at(fmt.Sprintf("10.0.1.%d:11211", i+1)) }

// newWorld starts n shards and a proxy before them. change may be nil.
func newWorld(t testing.TB, s *loop.Sim, n int, cfg config.Memcached, change func(*config.Cluster)) *world {
	t.Helper()
	w := &world{Sim: s, t: t, addr: at("10.0.0.1:11211"), limit: 1 << 20}
	w.proxy, w.apps = s.Worker("proxy"), s.Worker("apps")
	w.workers = []*loop.Worker{w.proxy}
	w.cluster = &config.Cluster{
		Name: "shards", ConnectTimeout: time.Second,
		Balance: config.Balance{Kind: config.RingHashLB, MinRing: 64, MaxRing: 4096},
		Backoff: config.Backoff{Base: 25 * time.Millisecond, Cap: 200 * time.Millisecond},
		Pool:    config.Pool{Connections: 1},
	}
	if change != nil {
		change(w.cluster)
	}
	for i := range n {
		w.shards = append(w.shards, w.shard(i))
	}
	w.cluster.Endpoints = endpoints(n)
	w.open()
	w.serve(cfg)
	return w
}

// open makes the cluster live.
func (w *world) open() {
	var err error
	w.up, err = upstream.Open(w.cluster, w.workers, slog.New(slog.DiscardHandler), nil)
	must(w.t, err)
}

// serve begins to accept with a new room; connections that stand keep theirs.
func (w *world) serve(cfg config.Memcached) {
	w.t.Helper()
	if cfg.CatchAll == "" && len(cfg.Routes) == 0 {
		cfg.CatchAll = "shards"
	}
	var err error
	w.room, err = New(&cfg, func(name string) *upstream.Cluster {
		if name == "shards" {
			return w.up
		}
		return nil
	}, len(w.workers))
	must(w.t, err)
	if w.listen == nil {
		w.listen, err = w.proxy.Listen(w.addr, loop.ListenOptions{}, func(c *loop.Conn) { w.room.Accept(c, w.limit) })
		must(w.t, err)
	}
}

func endpoints(which int) config.Endpoints {
	all := config.Locality{}
	for i := range which {
		all.Endpoints = append(all.Endpoints, &config.Endpoint{Address: shardAddr(i), Weight: 1})
	}
	return config.Endpoints{Cluster: "shards", Localities: []config.Locality{all}, OverprovisioningFactor: 140}
}

// shard starts a memcached server.
func (w *world) shard(i int) *backend {
	b := &backend{world: w, addr: shardAddr(i), store: map[string]stored{}}
	b.start()
	return b
}

// start makes the server's process; after Kill again, with an empty store.
func (b *backend) start() {
	b.worker = b.Worker("shard " + b.addr.String())
	var err error
	b.listen, err = b.worker.Listen(b.addr, loop.ListenOptions{}, func(c *loop.Conn) {
		b.open = append(b.open, c)
		c.Serve(b, false)
	})
	must(b.t, err)
}

// kill ends the process and what it knew.
func (b *backend) kill() {
	b.Kill(b.worker)
	b.open = nil
	clear(b.store)
}

func (b *backend) Expired(*loop.Conn) {}
func (b *backend) Closed(*loop.Conn)  {}

// Ready serves a connection until it ends.
func (b *backend) Ready(c *loop.Conn) {
	limits := memcache.DefaultLimits()
	limits.WholeBytes = 4 << 20
	p := memcache.NewParser(&limits)
	defer c.Close()
	for {
		buf, err := c.Next()
		if err != nil {
			return
		}
		for {
			var cmd memcache.Command
			n, ev := p.Next(buf, &cmd)
			if ev == memcache.More {
				c.Discard(n)
				break
			}
			if ev != memcache.Ready || cmd.NoReply {
				b.t.Errorf("shard %v was sent %.80q", b.addr, buf)
				return
			}
			answer := b.answer(nil, &cmd)
			c.Discard(n)
			if b.halt != nil {
				answer = b.halt(answer)
			}
			if b.delay > 0 {
				b.worker.Sleep(b.delay)
			}
			_, _ = c.Write(answer)
			buf = c.Buffered()
		}
	}
}

func (b *backend) answer(out []byte, c *memcache.Command) []byte {
	key := string(c.Key)
	old, has := b.store[key]
	set := func(data string) []byte {
		b.cas++
		b.store[key] = stored{string(c.Flags), data, b.cas}
		return append(out, "STORED\r\n"...)
	}
	b.asked = append(b.asked, strings.TrimSpace(string(c.Line)))
	line := func(s string) []byte { return append(out, s+"\r\n"...) }
	switch c.Op {
	case memcache.Version:
		return line("VERSION 1.6.18")
	case memcache.Get, memcache.Gets, memcache.Gat, memcache.Gats:
		for key, rest := c.Key, c.Rest; key != nil; key, rest = memcache.NextKey(rest) {
			if v, ok := b.store[string(key)]; ok {
				out = fmt.Appendf(out, "VALUE %s %s %d", key, v.flags, len(v.data))
				if c.Op.HasCAS() {
					out = fmt.Appendf(out, " %d", v.cas)
				}
				out = fmt.Appendf(out, "\r\n%s\r\n", v.data)
			}
		}
		return line("END")
	case memcache.Set:
		return set(string(c.Data))
	case memcache.Add, memcache.Replace:
		if has == (c.Op == memcache.Add) {
			return line("NOT_STORED")
		}
		return set(string(c.Data))
	case memcache.Append, memcache.Prepend:
		switch {
		case !has:
			return line("NOT_STORED")
		case c.Op == memcache.Append:
			return set(old.data + string(c.Data))
		}
		return set(string(c.Data) + old.data)
	case memcache.Cas:
		switch {
		case !has:
			return line("NOT_FOUND")
		case strconv.FormatUint(old.cas, 10) != string(c.CAS):
			return line("EXISTS")
		}
		return set(string(c.Data))
	}
	if !has {
		return line("NOT_FOUND")
	}
	switch c.Op {
	case memcache.Delete:
		delete(b.store, key)
		return line("DELETED")
	case memcache.Touch:
		return line("TOUCHED")
	}
	v, err := strconv.ParseUint(old.data, 10, 64)
	if err != nil {
		return line("CLIENT_ERROR cannot increment or decrement non-numeric value")
	}
	d, _ := strconv.ParseUint(string(c.Delta), 10, 64)
	if c.Op == memcache.Decr {
		d = -min(d, v)
	}
	old.data = strconv.FormatUint(v+d, 10)
	b.store[key] = old
	return line(old.data)
}

// app is a client's connection.
type app struct {
	*world
	*loop.Conn
}

// connect dials the proxy. In a coroutine.
func (w *world) connect() *app {
	c, err := w.apps.Dial(w.addr, time.Minute, config.Keepalive{})
	must(w.t, err)
	return &app{world: w, Conn: c}
}

func (a *app) say(text string) { _, _ = a.Conn.Write([]byte(text)) }

// line reads one line without its end; io.EOF as "<closed>".
func (a *app) line() string {
	for {
		if i := bytes.IndexByte(a.Buffered(), '\n'); i >= 0 {
			s := string(a.Buffered()[:i])
			a.Discard(i + 1)
			return strings.TrimSuffix(s, "\r")
		}
		if _, err := a.Next(); err != nil {
			return "<closed>" + string(a.Buffered())
		}
	}
}

// data reads n bytes and CR LF.
func (a *app) data(n int) (string, error) {
	b := make([]byte, n+2)
	if _, err := io.ReadFull(a.Conn, b); err != nil {
		return "", err
	}
	if string(b[n:]) != "\r\n" {
		return "", fmt.Errorf("data of %d bytes ends in %q", n, b[n:])
	}
	return string(b[:n]), nil
}

// ask says a command and reads an answer to its end, as lines.
func (a *app) ask(command string) string {
	a.say(command)
	var b strings.Builder
	for {
		l := a.line()
		b.WriteString(l + "\n")
		if !strings.HasPrefix(l, "VALUE ") {
			return b.String()
		}
		n, _ := strconv.Atoi(strings.Fields(l)[3])
		d, err := a.data(n)
		if err != nil {
			return b.String() + err.Error()
		}
		b.WriteString(d + "\n")
	}
}

// run runs f in a coroutine of the apps to its end.
func (w *world) run(f func()) {
	w.t.Helper()
	done := false
	w.apps.Go(func() {
		defer func() { done = true }()
		f()
	})
	must(w.t, w.Run(func() bool { return done }, time.Hour))
}

// settle closes everything and asks for leaks.
func (w *world) settle() {
	w.t.Helper()
	w.listen.Close()
	w.up.Close()
	must(w.t, w.RunFor(10*time.Second))
	for _, b := range w.shards {
		b.listen.Close()
	}
	must(w.t, w.Run(w.Quiet, time.Hour))
	if err := w.Leaks(); err != nil {
		w.t.Error(err)
	}
	for _, r := range append(w.retired, w.room) {
		if n := r.local[0].count.active; n != 0 {
			w.t.Errorf("%d clients left", n)
		}
	}
}
