package main

// The life of the program: sources first, then the port, then the file's
// changes, until it is told to end.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/attache-mesh/attache/discovery"
	"github.com/attache-mesh/attache/xds/server"
	"github.com/attache-mesh/attache/xds/server/ambassador"
	"github.com/attache-mesh/attache/xds/server/control"
)

// program is one run of the control plane.
type program struct {
	f       *flags
	log     *slog.Logger
	started time.Time
	meter   *meter
	loop    *control.Loop
	server  *server.Server
	health  *health
	loads   *loads

	// taking is held while what is served is replaced; base is the file's alone.
	taking    sync.Mutex
	base      *loaded
	resources *ambassadorResources // nil: the file alone
	routes    *routes              // nil: none of the Gateway API

	state   atomic.Int32 // a runState
	file    fileState
	catalog atomic.Pointer[discovery.Catalog]
	keyring atomic.Pointer[keyring]
	// reporter is nil where there is no Kubernetes.
	reporter atomic.Pointer[reporter]
	// webhook is nil without an injector. It is there before the status server is.
	webhook *webhook
}

// runState is how far the program is.
type runState int32

const (
	starting runState = iota // sources have not all answered yet
	serving
	stopping
)

func (s runState) String() string { return [...]string{"starting", "serving", "stopping"}[s] }

// serve runs until SIGTERM or SIGINT.
func serve(f *flags, l *loaded, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return newProgram(f, stderr).run(ctx, l)
}

func newProgram(f *flags, stderr io.Writer) *program {
	return &program{f: f, log: newLog(stderr, f), started: time.Now(), meter: newMeter(), health: newHealth(), loads: newLoads()}
}

func (p *program) run(ctx context.Context, l *loaded) error {
	traces, err := newTraces(ctx, p.log)
	if err != nil {
		return err
	}
	defer traces.close()
	p.loop = control.New(control.Options{
		Log: p.log, Planned: p.meter.planned,
		Pushed: func(push control.Push) { p.meter.pushed(push); traces.pushed(push) },
	})
	if p.server, err = p.newServer(l.config); err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	looping, endLoop := context.WithCancel(context.Background())
	defer endLoop()
	running.Go(func() { p.loop.Run(looping, p.server) })
	defer p.release()
	p.takeFile(l)
	stopFollowing, err := p.followCluster(ctx)
	if err != nil {
		return err
	}
	defer stopFollowing()

	if p.webhook, err = p.serveWebhook(ctx); err != nil {
		return err
	}
	defer p.webhook.close()
	status, err := p.serveStatus()
	if err != nil {
		return err
	}
	defer status.close()
	p.resources.wait(ctx)
	p.routes.wait(ctx)
	p.waitForSources(ctx, p.file.config().config)
	if ctx.Err() != nil {
		return nil
	}
	return p.untilEnd(ctx, l.config, status)
}

// newServer is the xDS server, which serves nobody yet.
func (p *program) newServer(c *ambassador.Config) (*server.Server, error) {
	s := &c.Server
	o := server.Options{
		Select: p.loop.Select, Log: p.log, Beside: p.health.register,
		Events: p.events(), Load: p.reported, LoadInterval: s.LoadReports,
		Limits: server.Limits{
			Streams: int(s.MaxStreams), StreamRate: s.Admission.PerSecond, StreamBurst: int(s.Admission.Burst),
			ConnectionAge: s.MaxConnectionAge,
		},
	}
	if t := s.TLS; t != nil {
		var err error
		if o.TLS, err = server.TLS(server.TLSFiles{Certificate: t.Certificate, Key: t.Key, ClientCA: t.ClientCA}, p.log); err != nil {
			return nil, err
		}
		var rules []server.Identity
		for _, id := range t.Identities {
			rules = append(rules, server.Identity{SPIFFE: id.SPIFFE, Node: id.Node})
		}
		if len(rules) > 0 {
			if o.Identify, err = server.Identities(rules); err != nil {
				return nil, fmt.Errorf("server.tls.%w", err)
			}
			o.Inspect = inspectors(t.Inspectors)
		}
	}
	return server.New(o), nil
}

// events go to the meter, the loop and Kubernetes.
func (p *program) events() server.Events {
	return server.Events{Nacked: p.meter.nacked, Settled: p.loop.Settled, Quarantined: p.quarantined}
}

// inspectors lets those read what all clients have whose SPIFFE ids are listed.
func inspectors(ids []string) func(string) error {
	return func(spiffe string) error {
		if !slices.Contains(ids, spiffe) {
			return errors.New("not among server.tls.inspectors")
		}
		return nil
	}
}

// takeFile makes a content of the file what is served, and what the cluster adds to it.
func (p *program) takeFile(l *loaded) {
	p.base = l
	p.take(p.whole(l))
	p.file.read()
}

// take makes l what is served. But for the first time, taking is held.
func (p *program) take(l *loaded) {
	before := p.file.config()
	catalog, keys := p.catalog.Load(), p.keyring.Load()
	if catalog == nil || before == nil || !l.mounts.same(before.mounts) {
		catalog, keys = l.mounts.catalog(), newKeyring(l.mounts, p.log)
	}
	p.loop.Apply(l.config, catalog, keys)
	if old := p.keyring.Swap(keys); old != nil && old != keys {
		old.Close()
	}
	if old := p.catalog.Swap(catalog); old != nil && old != catalog {
		old.Close()
	}
	p.report(newReporter(l, p.reporter.Load()))
	if before != nil {
		before.mounts.closeUnless(l)
	}
	p.file.use(l)
}

// release ends the catalog, the keyring and their sources.
func (p *program) release() {
	p.report(nil)
	if k := p.keyring.Load(); k != nil {
		k.Close()
	}
	if c := p.catalog.Load(); c != nil {
		c.Close()
	}
	if l := p.file.config(); l != nil {
		l.mounts.closeUnless(nil)
	}
}

// waitForSources waits until every service and secret has been answered for
// once, or has failed, but no longer than the file says.
func (p *program) waitForSources(ctx context.Context, c *ambassador.Config) {
	waiting, cancel := context.WithTimeout(ctx, c.Server.WaitForSources)
	defer cancel()
	err := p.catalog.Load().Synced(waiting, c.Services())
	if err == nil {
		err = p.keyring.Load().synced(waiting)
	}
	if err != nil && ctx.Err() == nil {
		p.log.Warn("serving without first answers", "reason", err)
	}
}

// untilEnd opens the port and serves until ctx is done.
func (p *program) untilEnd(ctx context.Context, c *ambassador.Config, status *statusServer) error {
	l, err := listen(address(p.f.listen, c.Server.Address))
	if err != nil {
		return err
	}
	serveErr := make(chan error, 1)
	go func() { serveErr <- p.server.Serve(l) }()
	p.state.Store(int32(serving))
	p.health.set(true)
	p.log.Info("serving", "version", version, "xds", l.Addr().String(), "status", status.address(), "ambassadors", len(c.Ambassadors), "services", len(c.Services()))
	if err := p.writeAddresses(l.Addr().String(), status.address()); err != nil {
		p.log.Error("addresses are not written", "error", err)
	}
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	var watch sync.WaitGroup
	watch.Go(func() { p.watchFile(watching) })
	defer watch.Wait()
	defer stopWatching()
	select {
	case <-ctx.Done():
	case err := <-serveErr:
		return fmt.Errorf("xds server: %w", err)
	}
	p.state.Store(int32(stopping))
	p.health.set(false)
	p.log.Info("ending", "seconds", p.f.shutdownSecond)
	p.server.Stop(time.Duration(p.f.shutdownSecond) * time.Second)
	if err := <-serveErr; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("xds server: %w", err)
	}
	return nil
}

func (p *program) writeAddresses(xds, status string) error {
	if p.f.addressesPath == "" {
		return nil
	}
	text := "xds " + xds + "\n"
	if status != "" {
		text += "status " + status + "\n"
	}
	whole := p.f.addressesPath + ".new"
	if err := os.WriteFile(whole, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(whole, p.f.addressesPath)
}

func address(first, second string) string {
	if first != "" {
		return first
	}
	return second
}

// listen opens a TCP port, or a unix socket in place of one that nobody answers
// at.
func listen(at string) (net.Listener, error) {
	path, unix := strings.CutPrefix(at, "unix:")
	if !unix {
		return net.Listen("tcp", at)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("%s: somebody else serves it", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	return net.Listen("unix", path)
}
