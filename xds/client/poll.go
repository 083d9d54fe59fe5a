package client

// A feed that is polled: requests by HTTP in place of a stream (api_type REST). What is
// asked for by name has a feed of its own, as in Envoy: each subscription has its own
// version, and a server that says 304 to it says so of that resource.

import (
	"context"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/client/protocol"
	"github.com/attache-mesh/attache/xds/client/rest"
)

// poll begins to ask again and again.
func (f *feed) poll(ctx context.Context, src *config.APISource) {
	plane, err := f.c.polledAt(src)
	if err != nil {
		f.c.log.Error("xds: a source that cannot be dialled", "of", f.name, "error", err)
		return
	}
	f.polled, f.sotw = true, true
	f.machine = protocol.NewPolled(protocol.Identity{Node: f.c.o.Node}, kinds[f.only].url)
	ctx, f.stop = context.WithCancel(ctx)
	o := rest.Options{Plane: plane, Path: kinds[f.only].rest, Poll: *src.Poll}
	f.c.running.Go(func() { rest.Run(ctx, o, poller{ctx, f}) })
}

// polledAt is the control plane that a source names; there is one for each cluster.
func (c *Client) polledAt(src *config.APISource) (*rest.Plane, error) {
	name := src.Servers[0].Cluster
	if p := c.polled[name]; p != nil {
		return p, nil
	}
	servers, look, err := c.reach(src)
	if err != nil {
		return nil, err
	}
	p := rest.NewPlane(c.o.Planes[name], servers, look, c.o.MaxConnectionAge)
	c.polled[name] = p
	return p, nil
}

// endPolls closes the connections of planes that were polled.
func (c *Client) endPolls() {
	for _, p := range c.polled {
		p.Close()
	}
}

// poller hands what polls say to Run.
type poller struct {
	ctx context.Context
	f   *feed
}

func (p poller) Due(ask func(*discoveryv3.DiscoveryRequest)) {
	p.f.c.report(p.ctx, func(time.Time) {
		p.f.send = func(requests []proto.Message) {
			for _, r := range requests { // one at most
				ask(r.(*discoveryv3.DiscoveryRequest))
			}
		}
		p.f.machine.Opened()
	})
}

func (p poller) Answered(server string, a *rest.Answer) {
	p.f.c.report(p.ctx, func(now time.Time) {
		p.f.reached(server, now)
		if a != nil {
			p.f.answered(a, now)
		}
	})
}

func (p poller) Unreadable(server string, err error) {
	p.f.c.report(p.ctx, func(now time.Time) {
		p.f.reached(server, now)
		p.f.refusedWhole(p.f.only, err)
		p.f.waitNoMore()
	})
}

func (p poller) Failed(err error) {
	p.f.c.report(p.ctx, func(now time.Time) { p.f.unreached(err, now) })
}

// asked counts a request.
func (f *feed) asked() {
	f.c.world[f.only].figures.attempt++
	if e := f.own(); e != nil {
		e.figures.attempt++
	}
}

// own is the resource that a feed of a single one is for; nil of others.
func (f *feed) own() *entry {
	if f.single == "" {
		return nil
	}
	return f.c.world[f.only].entries[f.keyOf(f.only, f.single)]
}

// reached notes that the server answers.
func (f *feed) reached(server string, now time.Time) {
	f.server = server
	if f.connected {
		return
	}
	f.connected, f.since, f.err = true, now, nil
	f.c.count.connects++
	f.c.log.Info("xds: connected", "of", f.name, "server", server)
}

// unreached notes that it does not.
func (f *feed) unreached(err error, now time.Time) {
	f.ends++
	if f.connected || f.err == nil || !sameText(f.err, err) {
		f.c.log.Warn("xds: not connected", "of", f.name, "error", err)
	}
	if f.connected || f.since.IsZero() {
		f.since = now
	}
	f.connected, f.err = false, err
	f.c.count.failures++
	f.c.world[f.only].figures.failure++
	if e := f.own(); e != nil {
		e.figures.failure++
	}
}

// waitNoMore ends the wait when there was a first answer that does not say what is waited
// for, refused or not: the start goes on without (http_subscription_impl.cc, parseResponse
// and handleFailure), unless there is something on disk.
func (f *feed) waitNoMore() {
	c, s, e := f.c, &f.c.world[f.only], f.own()
	switch {
	case c.disk.found != nil:
	case f.single == "" && !s.answered:
		s.timedOut, s.deadline = true, time.Time{}
	case e != nil && e.now == nil && !e.timedOut:
		c.dirty = c.giveUp(f.only, e) || c.dirty
	}
}

// answered takes a response.
func (f *feed) answered(a *rest.Answer, now time.Time) {
	if a.Warning != "" && a.Warning != f.warned {
		f.c.log.Warn("xds: a response has what is not read", "of", f.name, "warning", a.Warning)
	}
	f.warned = a.Warning
	u, err := f.machine.Receive(a.Response)
	if err != nil {
		f.refusedWhole(f.only, err)
		f.waitNoMore()
		return
	}
	for i, text := range a.Bad {
		u.Resources[i].Bad = text
	}
	f.identity = u.ControlPlane
	f.c.accept(f, f.only, u, now)
	f.waitNoMore()
}
