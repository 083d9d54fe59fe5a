package main

// attache init wait and warm: a program that knows the clusters of a configuration, and
// listens nowhere.

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/attache-mesh/attache/proxy"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/upstream"
	"github.com/attache-mesh/attache/xds/bootstrap"
	"github.com/attache-mesh/attache/xds/client/cache"
)

// errLate ends a wait.
var errLate = errors.New("the deadline has passed")

// initFlags are those of both commands.
type initFlags struct {
	flags
	deadline, progress time.Duration
	names              []string
}

// parseInit parses them; the arguments are names. done says that it is over with that.
func parseInit(name string, args []string, more func(*flag.FlagSet, *initFlags), stderr io.Writer) (f *initFlags, code int, done bool) {
	f = &initFlags{flags: flags{given: map[string]string{}}}
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	for _, n := range []string{"config-path", "c"} {
		set.StringVar(&f.configPath, n, "", "bootstrap `file`, YAML or JSON")
	}
	set.StringVar(&f.configYAML, "config-yaml", "", "bootstrap as `YAML`, merged over the file")
	set.StringVar(&f.node, "service-node", "", "node `id`")
	set.StringVar(&f.cluster, "service-cluster", "", "node `cluster`")
	set.StringVar(&f.zone, "service-zone", "", "`zone` of the node's locality")
	set.StringVar(&f.logLevel, "log-level", "warning", "log `level`")
	set.DurationVar(&f.deadline, "deadline", 2*time.Minute, "`time` after which it is given up; 0: never")
	set.DurationVar(&f.progress, "progress", 5*time.Second, "`time` between two lines about what is waited for")
	more(set, f)
	err := set.Parse(args)
	f.names = set.Args()
	if err == nil && f.configPath == "" && f.configYAML == "" {
		err = errors.New("no configuration: give -c FILE or --config-yaml YAML")
	}
	if err == nil {
		_, err = slogLevel(f.logLevel)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stderr, initUsage+"\nFlags:\n")
		listFlags(stderr, set)
		return nil, exitOK, true
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v\nRun '%s --help' for the flags.\n", name, err, name)
		return nil, exitUsage, true
	}
	return f, 0, false
}

// initWait waits for a round trip with each cluster that is named, or that is required.
func initWait(args []string, stdout, stderr io.Writer) int {
	f, code, done := parseInit("attache init wait", args, func(*flag.FlagSet, *initFlags) {}, stderr)
	if done {
		return code
	}
	return f.run("attache init wait", stdout, stderr, func(ctx context.Context, p *program, w *waiting) error {
		names := f.names
		if len(names) == 0 {
			if err := p.live(ctx); err != nil {
				return err
			}
			names = p.server.Required()
		}
		if len(names) == 0 {
			return errors.New("no cluster is named, and none is required")
		}
		return p.roundTrips(ctx, names, w)
	})
}

// initWarm waits until what the control plane says is in the config cache.
func initWarm(args []string, stdout, stderr io.Writer) int {
	f, code, done := parseInit("attache init warm", args, func(set *flag.FlagSet, f *initFlags) {
		set.StringVar(&f.configCache, "config-cache", "", "`directory` that the sidecar has too")
	}, stderr)
	switch {
	case done:
		return code
	case f.configCache == "" || len(f.names) > 0:
		fmt.Fprintf(stderr, "attache init warm: want --config-cache DIR, and no names\n%s", initUsage)
		return exitUsage
	}
	f.configCacheMaxAge = time.Nanosecond // what was kept before is not what is asked for
	began := time.Now()
	return f.run("attache init warm", stdout, stderr, func(ctx context.Context, p *program, w *waiting) error {
		w.tell(f.configCache, "nothing has come from the control plane")
		if p.client == nil {
			return errors.New("the configuration names no control plane")
		}
		if err := p.live(ctx); err != nil {
			return err
		}
		w.tell(f.configCache, "it is not written yet")
		return p.cached(ctx, began)
	})
}

// run does what a command waits for, and says how it goes.
func (f *initFlags) run(name string, stdout, stderr io.Writer, wait func(context.Context, *program, *waiting) error) int {
	b, ok := loadBootstrap(&f.flags, stderr)
	if !ok {
		return exitFailed
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if f.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, f.deadline, errLate)
		defer cancel()
	}
	began := time.Now()
	w := &waiting{last: map[string]string{}}
	p, end, err := f.bystander(b, stderr)
	if err == nil {
		defer end()
		told := make(chan struct{})
		go func() {
			defer close(told)
			w.report(ctx, name, f.progress, stderr)
		}()
		err = wait(ctx, p, w)
		stop()
		<-told
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v: %s\n", name, firstOf(err), cmp.Or(strings.Join(w.what(), "; "), "nothing was waited for"))
		return exitFailed
	}
	fmt.Fprintf(stdout, "%s: done after %v\n", name, time.Since(began).Round(time.Millisecond))
	return exitOK
}

// firstOf is one of several errors, which mostly are the same.
func firstOf(err error) error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return several.Unwrap()[0]
	}
	return err
}

// report says again and again what is waited for, until ctx is done.
func (w *waiting) report(ctx context.Context, name string, every time.Duration, out io.Writer) {
	if every <= 0 {
		return
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			for _, what := range w.what() {
				fmt.Fprintf(out, "%s: waits for %s\n", name, what)
			}
		}
	}
}

// bystander is a program that knows what serve would, and listens nowhere.
func (f *initFlags) bystander(b *bootstrap.Bootstrap, stderr io.Writer) (p *program, end func(), err error) {
	log, level := newLog(stderr, f.logLevel)
	p = &program{f: &f.flags, log: log, level: level, started: time.Now()}
	p.apply = p.applyUnbound
	p.server, err = proxy.New(proxy.Options{Concurrency: 1, Log: log, Resolver: upstream.SystemResolver{}, Wall: time.Now, Version: version})
	if err != nil {
		return nil, nil, err
	}
	if !b.NeedsClient() {
		snapshot, _, problems := config.Assemble(nil, b.Resources)
		if len(problems) > 0 {
			p.server.Stop()
			return nil, nil, problems[0]
		}
		return p, p.server.Stop, p.applyUnbound(snapshot)
	}
	if p.client, err = p.newClient(b); err != nil {
		p.server.Stop()
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.client.Run(ctx)
	}()
	return p, func() {
		cancel()
		<-ended
		p.server.Stop()
	}, nil
}

// applyUnbound makes a snapshot live whose listeners are described, and bind nothing.
func (p *program) applyUnbound(s *config.Snapshot) error {
	unbound := *s
	unbound.Listeners = make([]*config.Listener, len(s.Listeners))
	for i, l := range s.Listeners {
		copied := *l
		copied.BindToPort = false
		unbound.Listeners[i] = &copied
	}
	return p.server.Apply(&unbound)
}

// live waits for the first configuration to be live.
func (p *program) live(ctx context.Context) error {
	if p.client == nil {
		return nil
	}
	select {
	case <-p.client.Ready():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cached waits for a config cache that is newer than began.
func (p *program) cached(ctx context.Context, began time.Time) error {
	dir := &cache.Dir{Path: p.f.configCache}
	for again := time.Tick(20 * time.Millisecond); ; {
		if dir.Newer(began) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-again:
		}
	}
}
