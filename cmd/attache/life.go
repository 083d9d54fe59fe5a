package main

// From ready to gone: who says that it is over, and what is done then
// (docs/lifecycle.md).

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy"
	"github.com/attache-mesh/attache/proxy/lifecycle"
)

// errAppGone ends a drain: nobody is left to drain for.
var errAppGone = errors.New("the application has ended")

// untilEnd waits for a signal, /quitquitquit, the process after, or the word that the
// application is gone. SIGTERM and SIGINT drain; everything else, and a second signal,
// ends at once.
func (p *program) untilEnd(quitting context.Context, signals <-chan os.Signal, gone <-chan string) error {
	select {
	case <-quitting.Done():
		p.end("told to quit")
	case why := <-gone:
		p.end(errAppGone.Error() + ": " + why)
	case shutdown := <-p.restart.handedOver():
		p.endClient()
		p.untilHandedOver(quitting.Done(), signals, shutdown)
		p.flushLogs()
		p.end("another process has taken over")
	case s := <-signals:
		return p.leave(quitting, s, signals, gone)
	}
	return nil
}

// end says why it is over.
func (p *program) end(why string) {
	p.life.Go(lifecycle.Gone, why, 0)
	p.log.Info("ends", "why", why, "connections_left", p.server.Connections())
}

// endClient stops following the control plane: no listener comes any more.
func (p *program) endClient() {
	if p.stopClient != nil {
		p.stopClient()
	}
}

// leave drains. Listeners that face others stop at once: in a pod nobody is behind them
// any more, and who is refused asks another pod. Those that face the application go on
// until it is gone, as far as that is known, and then for the drain time.
func (p *program) leave(quitting context.Context, s os.Signal, signals <-chan os.Signal, gone <-chan string) error {
	drain, wait := p.f.drainTime(), time.Duration(p.f.waitForAppSeconds)*time.Second
	if p.f.appGoneOnSignal {
		drain, wait = 0, 0
	}
	all := wait + drain + max(p.f.drainTime(), time.Second) + flushPatience
	p.life.Go(lifecycle.Draining, "signal "+s.String(), all)
	p.log.Info("draining", "signal", s.String(), "at_most", all)
	ctx, cancel := context.WithCancelCause(quitting)
	defer cancel(nil)
	go func() {
		select {
		case <-signals:
			p.quit()
		case why := <-gone:
			cancel(errors.Join(errAppGone, errors.New(why)))
		case <-ctx.Done():
		}
	}()
	p.server.BeginDrain()
	p.server.CloseListeners(proxy.Inbound)
	p.server.DrainRooms(proxy.Inbound)
	err := p.waitForApp(ctx, wait)
	if err == nil {
		p.endClient()
		p.life.WaitFor(p.inFlight)
		if p.f.appGoneOnSignal {
			err = p.finish(ctx)
		} else {
			err = p.server.Drain(ctx, proxy.Every, drain)
		}
	}
	if !errors.Is(err, context.Canceled) {
		p.flushLogs()
	}
	switch {
	case errors.Is(err, errAppGone):
		p.end(strings.ReplaceAll(err.Error(), "\n", ": "))
	case errors.Is(err, context.Canceled):
		p.end("told to quit while draining")
	default:
		p.end("drained")
	}
	return nil
}

// flushPatience bounds how long the services that take access logs may take for the
// last entries.
const flushPatience = time.Second

func (p *program) flushLogs() {
	ctx, cancel := context.WithTimeout(context.Background(), flushPatience)
	defer cancel()
	p.server.FlushLogs(ctx)
}

// waitForApp lets the application work on until it says that it has ended, which is the
// cause of ctx then.
func (p *program) waitForApp(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	p.life.WaitFor(func() []string { return []string{"the application to say that it has ended"} })
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		p.log.Warn("the application has not said that it has ended", "waited", d)
		return nil
	}
}

// finish is the drain when nobody asks any more: what is in flight has the drain time.
func (p *program) finish(ctx context.Context) error {
	p.server.CloseListeners(proxy.Every)
	p.server.DrainRooms(proxy.Every)
	end := time.After(max(p.f.drainTime(), time.Second))
	for again := time.Tick(20 * time.Millisecond); p.server.Active() > 0; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-end:
			return nil
		case <-again:
		}
	}
	return nil
}
