package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/attache-mesh/attache/proxy"
	"github.com/attache-mesh/attache/proxy/admin"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/lifecycle"
	"github.com/attache-mesh/attache/proxy/upstream"
	"github.com/attache-mesh/attache/xds/bootstrap"
	"github.com/attache-mesh/attache/xds/client"
	"github.com/attache-mesh/attache/xds/client/csds"
)

// program is one run of the sidecar.
type program struct {
	f       *flags
	log     *slog.Logger
	level   *slog.LevelVar
	started time.Time
	server  *proxy.Server
	apply   func(*config.Snapshot) error // what comes from the control plane
	client  *client.Client               // nil if everything stands in the bootstrap file
	// stopClient is not nil once the client runs.
	stopClient func()
	dump       [][]byte
	unbuilt    int // see bootstrap.Bootstrap.Unbuilt
	ready      atomic.Bool
	failing    atomic.Bool // /healthcheck/fail
	quit       func()      // asks for the end without a drain
	drain      sync.Once
	// drainInbound is drain of the listeners that face others.
	drainInbound sync.Once
	life         *lifecycle.Machine
	ending       context.Context // of whoever waits for something outside
	admin        *adminServer
	restart      *restart // nil: there is no hot restart
}

// serve runs until it is told to end: admin first, so that whoever waits for
// readiness has somebody to ask, then the listeners.
func serve(f *flags, b *bootstrap.Bootstrap, stderr io.Writer) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT) // before anybody can see that we serve
	defer signal.Stop(signals)
	log, level := newLog(stderr, f.logLevel)
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), f.concurrency+1)) // a dozing worker keeps its processor

	quitting, quit := context.WithCancel(context.Background())
	defer quit()
	p := &program{f: f, log: log, level: level, started: time.Now(), quit: quit, unbuilt: b.Unbuilt, life: lifecycle.New(time.Now), ending: quitting}
	go lean(quitting, p.ready.Load)
	p.life.WaitFor(func() []string { return []string{"the configuration to be live"} })
	if err := p.render(b); err != nil {
		return err
	}
	var err error
	if p.restart, err = newRestart(f, p.started, log); err != nil {
		return err
	}
	server, err := proxy.New(proxy.Options{
		Concurrency: f.concurrency, HandshakesPerTurn: f.handshakes, Log: log, Resolver: upstream.SystemResolver{}, Wall: time.Now, Version: version,
		Demand: p.demand, Inherited: p.restart.inheritance(),
	})
	if err != nil {
		return err
	}
	defer server.Stop()
	p.server, p.apply = server, server.Apply

	if b.NeedsClient() {
		if p.client, err = p.newClient(b); err != nil {
			return err
		}
	}
	if err := p.openAdmin(b); err != nil {
		return err
	}
	defer p.admin.close()
	if p.restart != nil {
		if err := p.restart.listen(p, b); err != nil {
			return err
		}
		defer p.restart.stopChild()
	}
	if p.client == nil {
		err = p.serveFile(b)
	} else {
		p.life.WaitFor(func() []string { return []string{"the configuration of the control plane to be live"} })
		p.stopClient = sync.OnceFunc(p.startClient())
		defer p.stopClient()
	}
	if err != nil {
		return err
	}
	gone, stopGone, err := p.appGone()
	if err != nil {
		return err
	}
	defer stopGone()
	return p.untilEnd(quitting, signals, gone)
}

// serveFile makes live what stands in the bootstrap file.
func (p *program) serveFile(b *bootstrap.Bootstrap) error {
	snapshot, _, problems := config.Assemble(nil, b.Resources)
	if len(problems) > 0 {
		return problems[0]
	}
	if err := p.server.Apply(snapshot); err != nil {
		return err
	}
	p.becomeLive()
	return nil
}

// startClient begins to follow the control plane; stop ends that and waits. What
// is live stays live.
func (p *program) startClient() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.follow(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// render keeps /config_dump as text: the messages themselves are let go.
func (p *program) render(b *bootstrap.Bootstrap) error {
	d, err := b.Dump(p.started)
	if err != nil {
		return err
	}
	p.dump = [][]byte{d.Bootstrap, d.Clusters, d.Listeners, d.Routes}
	if d.Secrets != nil {
		p.dump = append(p.dump, d.Secrets)
	}
	return nil
}

// openAdmin begins to answer the operator, or leaves that to the process before.
func (p *program) openAdmin(b *bootstrap.Bootstrap) error {
	p.admin = &adminServer{p: p, b: b}
	if p.admin.late() {
		return nil
	}
	err := p.admin.open(nil)
	if err != nil && p.restart != nil && p.restart.inherited.Share {
		go p.admin.openLater(err)
		return nil
	}
	return err
}

// serveStatus answers client status requests (CSDS) beside the admin pages.
func (p *program) serveStatus(a *admin.Server) (stop func()) {
	if p.client == nil {
		return func() {}
	}
	s := csds.New(p.client.ClientConfig)
	l := a.HTTP2()
	go func() {
		if err := s.Serve(l); err != nil {
			p.log.Debug("client status ended", "error", err)
		}
	}()
	return s.Close
}
