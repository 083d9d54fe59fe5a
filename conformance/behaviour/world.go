package behaviour

// A script's world: the data plane, hosts and clients as workers of one simulator,
// inside a synctest bubble, so that the ordinary goroutines of the data plane
// (DNS, what is retired) live in the same virtual time.
//
//	drive ─▶ a worker has something to do? ─▶ its turn ─▶ everybody else rests ─┐
//	  ▲          │ no                                                          │
//	  └──────────┴─▶ sleep (virtually) to the next event, or till woken ◀──────┘

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attache-mesh/attache/proxy"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/xds/bootstrap"
	"github.com/attache-mesh/attache/xds/client"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

type world struct {
	t        testing.TB
	sim      *loop.Sim
	proxy    *loop.Worker
	upstream *loop.Worker
	client   *loop.Worker
	woken    chan struct{}
	began    time.Time

	server  *proxy.Server
	last    *config.Snapshot
	warned  []bootstrap.Problem // of the last configuration
	hosts   []*host
	names   directory
	asked   []string // of sockets, since they were shown
	framed  []string // of HTTP/2's connections, since they were shown
	named   map[string]*connection
	talkers map[string]*talker
	seen    []sighting
	begun   []*request
	dir     string
	change  func(name, yaml string) string // see Script
	logs    map[string]int                 // files, how much of each was shown

	certs    *certificates
	sessions map[string]tls.ClientSessionCache // of clients, by name
	xds      *client.Client                    // of control planes; nil: there is none
	stopXDS  func()                            // ends it
}

// sighting is a request as a host saw it.
type sighting struct {
	host *host
	*message
}

// proxyIP is the data plane's address; hosts have 10.1.0.1 and so on.
var proxyIP = netip.MustParseAddr("10.0.0.1")

func (w *world) address(port uint16) netip.AddrPort { return netip.AddrPortFrom(proxyIP, port) }

func (w *world) saw(h *host, m *message) { w.seen = append(w.seen, sighting{h, m}) }

// newWorld makes the world of a script; nothing runs in it yet.
func newWorld(t testing.TB, s *Script) *world {
	w := &world{
		t: t, sim: loop.NewSim(1, nil), woken: make(chan struct{}, 1), began: time.Now(), change: s.change,
		names: directory{records: map[string]record{}}, named: map[string]*connection{}, talkers: map[string]*talker{}, dir: t.TempDir(), logs: map[string]int{}, sessions: map[string]tls.ClientSessionCache{},
	}
	w.sim.OnWake(func() {
		select {
		case w.woken <- struct{}{}:
		default:
		}
	})
	w.proxy, w.upstream, w.client = w.sim.Worker("proxy"), w.sim.Worker("hosts"), w.sim.Worker("clients")
	w.sim.OnSocket(w.socket)
	w.findHosts(s)
	return w
}

var (
	symbol = regexp.MustCompile(`\$[a-z][a-z0-9_]*`)
	ports  = regexp.MustCompile(`port_?[vV]alue:\s*(\d+)`)
)

// findHosts makes a host of each symbol; it listens on every port that the
// configuration names.
func (w *world) findHosts(s *Script) {
	all := s.Config
	for _, later := range s.Later {
		all += later
	}
	for _, text := range s.Files {
		all += text
	}
	for _, st := range s.steps { // files that are written later
		all += strings.Join(st.file, "\n")
	}
	for _, sym := range symbol.FindAllString(all, -1) {
		if sym != "$log" && sym != "$dir" && sym != "$module" && !strings.HasPrefix(sym, "$hash_") && !strings.HasPrefix(sym, "$spki_") && w.host(sym[1:]) == nil {
			ok, _ := parseAnswer("200")
			w.hosts = append(w.hosts, &host{w: w, name: sym[1:], always: ok})
		}
	}
	slices.SortFunc(w.hosts, func(a, b *host) int { return strings.Compare(a.name, b.name) })
	for _, m := range ports.FindAllStringSubmatch(all, -1) {
		n, err := strconv.ParseUint(m[1], 10, 16)
		for i, h := range w.hosts {
			at := config.Address{IP: netip.AddrPortFrom(hostIP(i), uint16(n))}
			if err == nil && n > 0 && !slices.Contains(h.addrs, at) {
				h.addrs = append(h.addrs, at)
			}
		}
	}
}

func hostIP(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, byte(i / 250), byte(i%250 + 1)}) }

func (w *world) host(name string) *host {
	for _, h := range w.hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}

// concrete replaces symbols by addresses, $log by a file, and $dir by the directory
// of the script's files.
func (w *world) concrete(yaml string) string {
	return symbol.ReplaceAllStringFunc(yaml, func(sym string) string {
		switch sym {
		case "$log":
			return filepath.Join(w.dir, "log")
		case "$dir":
			return w.dir
		case "$module":
			return wasmModule()
		}
		if text, ok := w.certs.digest(sym[1:]); ok {
			return text
		}
		if h := w.host(sym[1:]); h != nil {
			return hostIP(slices.Index(w.hosts, h)).String()
		}
		return sym
	})
}

// final is what is read of a text of the script.
func (w *world) final(name, text string) string {
	text = w.concrete(text)
	if w.change != nil && (name == "config" || strings.HasSuffix(name, ".yaml")) {
		text = w.change(name, text)
	}
	return text
}

// start brings the data plane and the hosts up.
func (w *world) start(s *Script) error {
	if err := w.issue(s); err != nil {
		return err
	}
	for _, line := range s.Env {
		name, value, _ := strings.Cut(line, "=")
		w.t.Setenv(name, w.concrete(value))
	}
	for name, text := range s.Files {
		data, err := content(name, text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := w.write(name, data); err != nil {
			return err
		}
	}
	for _, h := range w.hosts {
		if err := h.up(); err != nil {
			return err
		}
	}
	var err error
	w.server, err = proxy.New(proxy.Options{
		Workers: []*loop.Worker{w.proxy}, Log: w.log(), Resolver: asked{w, nil}, Wall: time.Now, Version: "test", Demand: w.demand,
	})
	if err != nil {
		return err
	}
	if strings.Contains(s.Config, "access_loggers.stream.") {
		if err := w.takeOutput(); err != nil {
			return err
		}
	}
	return w.apply(s.Config)
}

// takeOutput has what is written to the program's own output come to files of $dir,
// until the world ends.
func (w *world) takeOutput() error {
	for name, std := range map[string]**os.File{"stdout": &os.Stdout, "stderr": &os.Stderr} {
		f, err := os.Create(filepath.Join(w.dir, name))
		if err != nil {
			return err
		}
		was := *std
		*std = f
		w.t.Cleanup(func() {
			*std = was
			_ = f.Close()
		})
	}
	return nil
}

func (w *world) log() *slog.Logger {
	out := io.Discard
	if testing.Verbose() {
		out = os.Stderr
	}
	return slog.New(slog.NewTextHandler(out, nil))
}

// apply makes a configuration live.
func (w *world) apply(yaml string) error {
	b, problems := bootstrap.Load([]byte(w.final("config", yaml)), "config", bootstrap.Options{})
	w.warned = problems
	if load.Refused(problems) {
		var all []string
		for _, p := range problems {
			all = append(all, p.String())
		}
		return fmt.Errorf("refused:\n%s", strings.Join(all, "\n"))
	}
	if w.stopXDS != nil {
		return fmt.Errorf("apply: what a control plane says is changed by its files")
	}
	if b.NeedsClient() {
		return w.follow(b)
	}
	snapshot, _, more := config.Assemble(w.last, b.Resources)
	if len(more) > 0 {
		return more[0]
	}
	w.last = snapshot
	return w.aside(func() error { return w.server.Apply(snapshot) })
}

// door is the address of the first listener.
func (w *world) door() config.Address {
	if s := w.server.Snapshot(); s != nil && len(s.Listeners) > 0 {
		return config.Address{IP: w.address(s.Listeners[0].Address.IP.Port())}
	}
	return config.Address{IP: w.address(10000)}
}

// aside runs f, which waits for workers, beside them, and turns the world until it
// returns.
func (w *world) aside(f func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = f()
	}()
	late := w.drive(func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}, time.Minute)
	if late != nil {
		return late
	}
	return err
}

// maxTurns is how many turns an instant may have before a worker is said to spin.
const maxTurns = 200_000

// drive turns the world until a condition holds, or limit has passed.
func (w *world) drive(until func() bool, limit time.Duration) error {
	end := w.sim.Now() + limit
	for turns := 0; ; turns++ {
		synctest.Wait()
		switch {
		case until():
			return nil
		case w.sim.Now() >= end:
			return fmt.Errorf("not done within %v", limit)
		case turns > maxTurns:
			return fmt.Errorf("a worker turns without end")
		case w.sim.Step():
			continue
		}
		turns = 0
		next, ok := w.sim.Next()
		if !ok || next > end {
			next = end
		}
		if d := next - w.sim.Now(); d > 0 {
			w.doze(d)
		}
		w.sim.Advance(min(time.Since(w.began), next))
	}
}

// doze lets virtual time pass, until somebody hands a worker something to do.
func (w *world) doze(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.woken:
	}
	synctest.Wait()
}

// pass lets d pass, and no more.
func (w *world) pass(d time.Duration) error { return w.passing(d, 0) }

// settle lets d pass, and if nothing is due up to a second more: what is on its way
// arrives.
func (w *world) settle(d time.Duration) error { return w.passing(d, time.Second) }

func (w *world) passing(d, more time.Duration) error {
	end := w.sim.Now() + d
	return w.drive(func() bool { return w.sim.Now() >= end }, d+more)
}

// stop ends the world and says what was left.
func (w *world) stop() {
	if w.stopXDS != nil {
		if err := w.aside(func() error { w.stopXDS(); return nil }); err != nil {
			w.t.Errorf("stop: %v", err)
		}
	}
	if w.server != nil {
		if err := w.aside(func() error { w.server.Stop(); return nil }); err != nil {
			w.t.Errorf("stop: %v", err)
		}
		if n := w.proxy.Counters().Panics; n != 0 {
			w.t.Errorf("%d panics on the worker", n)
		}
	}
	w.upstream.Stop()
	w.client.Stop()
	_ = w.pass(time.Second)
	w.sim.Close()
	synctest.Wait()
}
