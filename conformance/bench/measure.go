package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// bench is one run of the program.
type bench struct {
	options
	proxies []proxy
	dir     string // for everything that this run writes
	out     *screen
	turn    int // folders handed out
}

// contender is a started proxy of a row.
type contender struct {
	proxy
	*child     // nil for direct
	port   int // where the load goes
}

const toolsPackage = "github.com/attache-mesh/attache/conformance/bench/"

var tools = []string{"fasthttpproxy", "grpcload", "grpcserver", "idleload", "memload", "nethttpproxy", "relay", "stormload", "streamload", "streamserver", "tlsload"}

// build compiles the generators, the backend and the peers of this folder.
func (b *bench) build(ctx context.Context) error {
	defer b.out.progress("building the load generators")()
	bin := filepath.Join(b.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	argv := []string{"go", "build", "-o", bin}
	for _, tool := range tools {
		argv = append(argv, toolsPackage+tool)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return err
	}
	_, err := output(ctx, 10*time.Minute, argv...)
	return err
}

func (b *bench) tool(name string) string { return filepath.Join(b.dir, "bin", name) }

// folder makes a new empty one below the run's own.
func (b *bench) folder(name string) (string, error) {
	b.turn++
	dir := filepath.Join(b.dir, fmt.Sprintf("%d-%s", b.turn, name))
	return dir, os.Mkdir(dir, 0o755)
}

// contenders are the row's peers among the chosen proxies.
func (b *bench) contenders(r row) []proxy {
	return slices.DeleteFunc(slices.Clone(b.proxies), func(p proxy) bool { return !slices.Contains(r.peers, p.name) })
}

// measure is one row, from starting its servers to stopping them.
func (b *bench) measure(ctx context.Context, r row, rounds int, seconds float64) (*result, error) {
	dir, err := b.folder(r.name)
	if err != nil {
		return nil, err
	}
	servers, ports, err := b.backends(ctx, r, dir)
	defer func() { servers.stop() }()
	if err != nil {
		return nil, err
	}
	res := &result{row: r, subject: b.subject}
	for _, p := range b.contenders(r) {
		res.lines = append(res.lines, line{proxy: p.name})
	}
	switch r.method {
	case idle, started:
		return res, b.measureMemory(ctx, r, res, ports, min(rounds, 3))
	}
	running, err := b.startAll(ctx, r, ports)
	defer func() { stopAll(running) }()
	if err != nil {
		return nil, err
	}
	return res, b.takeTurns(ctx, r, res, running, rounds, seconds)
}

// takeTurns lets every proxy run once per round, each round beginning with the next one.
func (b *bench) takeTurns(ctx context.Context, r row, res *result, running []contender, rounds int, seconds float64) error {
	for round := range rounds {
		for i := range running {
			c := running[(i+round)%len(running)]
			done := b.out.progress(fmt.Sprintf("%s round %d/%d: %s", r.name, round+1, rounds, c.name))
			s, err := b.oneTurn(ctx, r, c, seconds)
			done()
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", c.name, round+1, err)
			}
			l := res.line(c.name)
			l.samples = append(l.samples, s)
		}
	}
	return nil
}

// oneTurn is where every figure under load comes from.
func (b *bench) oneTurn(ctx context.Context, r row, c contender, seconds float64) (sample, error) {
	s := nothingYet()
	var before, after usage
	var err error
	if c.child != nil {
		if before, err = c.readUsage(); err != nil {
			return s, err
		}
	}
	report, err := b.load(ctx, r, c.port, seconds)
	if err != nil {
		return s, err
	}
	s[requestsPerSecond], s[p50], s[p99] = report.PerSecond(), report.P50, report.P99
	if r.method == storming {
		s[quiet99], s[stormOverQuiet] = report.Quiet99, report.P99/report.Quiet99
	}
	if c.child == nil {
		return s, nil
	}
	if after, err = c.readUsage(); err != nil {
		return s, err
	}
	s[cpuPerRequest] = float64(after.since(before).Nanoseconds()) / 1e3 / float64(report.Requests)
	rss, err := c.residentBytes()
	s[resident] = float64(rss)
	return s, err
}

// startAll starts the row's proxies one after the other and shows that each does its work.
func (b *bench) startAll(ctx context.Context, r row, backends []int) (running []contender, err error) {
	for _, p := range b.contenders(r) {
		defer b.out.progress(fmt.Sprintf("%s: starting %s", r.name, p.name))()
		c, err := b.startProxy(ctx, r, p, backends)
		if c.name != "" {
			running = append(running, c)
		}
		if err == nil {
			err = b.prove(ctx, r, c.port)
		}
		if err != nil {
			return running, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return running, nil
}

// startProxy returns a contender with a name if there is something to stop, even with an error.
func (b *bench) startProxy(ctx context.Context, r row, p proxy, backends []int) (contender, error) {
	if p.argv == nil {
		return contender{proxy: p, port: backends[0]}, nil
	}
	dir, err := b.folder(r.name + "-" + p.name)
	if err != nil {
		return contender{}, err
	}
	port, err := freePort()
	if err != nil {
		return contender{}, err
	}
	at := place{protocol: r.protocol, dir: dir, port: port, backends: backends}
	argv, err := p.argv(b, at)
	if r.secure != nowhere {
		argv, err = b.secureArgv(p.name, r.secure, at)
	}
	if err != nil {
		return contender{}, err
	}
	c, err := start(p.name, dir, p.deathSignal, argv...)
	if err != nil {
		return contender{}, err
	}
	return contender{proxy: p, child: c, port: port}, c.listening(ctx, port)
}

func stopAll(running []contender) {
	for _, c := range running {
		if c.child != nil {
			c.stop()
		}
	}
}
