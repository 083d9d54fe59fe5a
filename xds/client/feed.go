package client

// A feed is one place that resources come from: the aggregated stream, a stream
// of one type, polls of one (poll.go), or a file. A secret that does not come by the aggregated stream has
// a stream of its own, as in Envoy (SdsApi): a server may end a stream for one name
// that it does not give, and SPIRE's agent gives one of "ROOTCA" and "ALL" only.

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/client/path"
	"github.com/attache-mesh/attache/xds/client/protocol"
	"github.com/attache-mesh/attache/xds/client/stream"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

type feed struct {
	c      *Client
	source config.Source
	only   kind   // of all but ADS; kindCount for that
	single string // of a stream of one secret, and of polls for one resource: its name
	name   string
	prefix string // of the keys of its secrets
	stop   context.CancelFunc

	last    *protocol.Update      // what a file says
	machine protocol.Machine      // of a stream
	send    func([]proto.Message) // while connected
	sotw    bool
	polled  bool
	warned  string // what was said of an answer to a poll
	// replaces: the next response of a kind is all that there is, although the
	// protocol would not say so.
	replaces [kindCount]bool
	wanted   [kindCount]protocol.Want
	used     bool // during subscribe

	connected bool
	server    string // the one connected to, or tried last
	identity  string // how the control plane calls itself
	since     time.Time
	err       error // why it is not connected; nil at first and while connected
	ends      uint64
	refusedAt [kindCount]time.Time
	refusedOf [kindCount]said
}

// said is what a response was answered with: an error, or "".
type said struct{ version, text string }

// feedFor finds or starts the feed of a resource from a source; nil if that cannot
// be: there is no ADS stream, or a server is not known. Then the resource is
// waited for in vain, and the reason is logged.
func (c *Client) feedFor(ctx context.Context, k kind, name string, s *config.Source) *feed {
	if s.Kind != config.SourceAPI || k != sds && s.API.Poll == nil {
		name = ""
	}
	for _, f := range c.feeds {
		if f.single == name && f.serves(k, s) {
			return f
		}
	}
	f := &feed{c: c, source: *s, only: k, single: name, prefix: envoyv3.SourceKey(s)}
	switch s.Kind {
	case config.SourceADS:
		if c.o.ADS == nil {
			return nil
		}
		f.only, f.name = kindCount, "ads"
		f.start(ctx, c.o.ADS)
	case config.SourceAPI:
		f.name = kinds[k].name
		switch {
		case kinds[k].stream == "" && !s.API.Delta:
			c.log.Error("xds: resources of this type come by DELTA_GRPC only", "type", kinds[k].name)
			return nil
		case s.API.Poll != nil:
			f.poll(ctx, s.API)
		default:
			f.start(ctx, s.API)
		}
		if f.stop == nil {
			return nil
		}
	case config.SourcePath:
		f.name = s.Path
		f.watch(ctx)
	default:
		return nil
	}
	c.feeds = append(c.feeds, f)
	return f
}

func (f *feed) serves(k kind, s *config.Source) bool {
	switch {
	case f.source.Kind != s.Kind:
		return false
	case s.Kind == config.SourceADS:
		return true
	case s.Kind == config.SourcePath:
		return f.only == k && f.source.Path == s.Path && f.source.WatchedDirectory == s.WatchedDirectory &&
			f.source.Collection == s.Collection
	}
	return f.only == k && (f.source.API == s.API || reflect.DeepEqual(f.source.API, s.API))
}

// start begins the stream.
func (f *feed) start(ctx context.Context, src *config.APISource) {
	servers, look, err := f.c.reach(src)
	if err != nil {
		f.c.log.Error("xds: a source that cannot be dialled", "of", f.name, "error", err)
		return
	}
	who := protocol.Identity{Node: f.c.o.Node, FirstOnly: src.SetNodeOnFirstMessageOnly}
	o := stream.Options{Servers: servers, Look: look, MaxAge: f.c.o.MaxConnectionAge}
	if src.Delta {
		f.machine = protocol.NewDelta(who)
		o.Method, o.Response = aggregatedDelta, func() proto.Message { return &discoveryv3.DeltaDiscoveryResponse{} }
	} else {
		f.sotw = true
		f.machine = protocol.NewStateOfTheWorld(who, wholeType)
		o.Method, o.Response = aggregated, func() proto.Message { return &discoveryv3.DiscoveryResponse{} }
	}
	if f.only != kindCount {
		o.Method = kinds[f.only].stream
		if src.Delta {
			o.Method = kinds[f.only].delta
		}
	}
	ctx, f.stop = context.WithCancel(ctx)
	f.c.running.Go(func() { stream.Run(ctx, o, handler{ctx, f}) })
}

// watch begins to follow the file.
func (f *feed) watch(ctx context.Context) {
	ctx, f.stop = context.WithCancel(ctx)
	f.c.running.Go(func() {
		report := func(u *protocol.Update, err error) {
			f.c.report(ctx, func(now time.Time) { f.read(ctx, u, err, now) })
		}
		file := path.File{Name: f.source.Path, Directory: f.source.WatchedDirectory, Type: kinds[f.only].url, Collection: f.source.Collection}
		if f.c.o.Looks {
			path.Look(ctx, file, report)
			return
		}
		path.Watch(ctx, file, report)
	})
}

// handler hands what a stream says to Run.
type handler struct {
	ctx context.Context
	f   *feed
}

func (h handler) Opened(server string, send func([]proto.Message)) {
	h.f.c.report(h.ctx, func(now time.Time) { h.f.opened(server, send, now) })
}

func (h handler) Received(m proto.Message) {
	h.f.c.report(h.ctx, func(now time.Time) { h.f.received(m, now) })
}

func (h handler) Ended(opened bool, err error, wait time.Duration) {
	h.f.c.report(h.ctx, func(now time.Time) { h.f.ended(opened, err, wait, now) })
}

func (f *feed) opened(server string, send func([]proto.Message), now time.Time) {
	f.connected, f.server, f.send, f.since, f.err = true, server, send, now, nil
	f.c.count.connects++
	f.machine.Opened()
	f.c.log.Info("xds: connected", "of", f.name, "server", server)
}

func (f *feed) ended(opened bool, err error, wait time.Duration, now time.Time) {
	f.machine.Closed()
	f.send = nil
	f.ends++
	quiet := errors.Is(err, stream.ErrQuiet)
	level := f.c.log.Warn
	if quiet {
		level = f.c.log.Info
	}
	if f.connected || f.err == nil || !sameText(f.err, err) {
		level("xds: not connected", "of", f.name, "error", err, "again_in", wait.Round(time.Millisecond))
	}
	if f.connected || f.since.IsZero() {
		f.since = now
	}
	f.connected, f.err = false, err
	if quiet {
		return
	}
	f.c.count.failures++
	for k := range f.wanted {
		if !f.wanted[k].Empty() {
			f.c.world[k].figures.failure++
		}
	}
}

func sameText(a, b error) bool { return a.Error() == b.Error() }

func (f *feed) received(m proto.Message, now time.Time) {
	u, err := f.machine.Receive(m)
	if err != nil {
		k, _ := kindOf(typeOf(m))
		f.refusedWhole(k, err)
		return
	}
	if u.ControlPlane != "" {
		f.identity = u.ControlPlane
	}
	k, known := kindOf(u.TypeURL)
	if !known {
		return // it was not asked for, so Receive has refused it
	}
	f.c.accept(f, k, u, now)
}

// refusedWhole counts a response of kind k, kindCount if that is not known, no part of
// which can be used.
func (f *feed) refusedWhole(k kind, err error) {
	f.c.count.refusedWhole++
	if k < kindCount {
		if !f.polled {
			f.c.world[k].figures.attempt++
		}
		f.c.world[k].figures.rejected++
	}
	if e := f.own(); e != nil && f.polled {
		e.figures.rejected++
	}
	f.c.log.Warn("xds: a response is refused", "of", f.name, "error", err)
}

// accept reads an update that a stream, a poll or a file brought. Of polls the request
// was the attempt.
func (c *Client) accept(f *feed, k kind, u *protocol.Update, now time.Time) {
	if !f.polled {
		c.world[k].figures.attempt++
	}
	t := c.take(f, k, u, now)
	c.waiting = append(c.waiting, t)
	c.dirty = c.dirty || t.changed
}

// read takes what the file says, or why it says nothing.
func (f *feed) read(_ context.Context, u *protocol.Update, err error, now time.Time) {
	f.err, f.since, f.connected = err, now, err == nil
	if err != nil {
		f.c.world[f.only].figures.attempt++
		f.c.world[f.only].figures.rejected++
		f.c.log.Warn("xds: a file is refused; what it said before stays", "path", f.source.Path, "error", err)
		return
	}
	f.last = u
	f.c.accept(f, f.only, u, now)
}

// readAgain looks for names that are wanted from now on in what the file says: only what
// was wanted then was kept of it.
func (f *feed) readAgain(w *protocol.Want) {
	before := f.wanted[f.only]
	f.wanted[f.only] = *w
	isNew := func(name string) bool {
		_, known := slices.BinarySearch(before.Names, name)
		return !known
	}
	if f.last != nil && slices.ContainsFunc(w.Names, isNew) {
		f.c.accept(f, f.only, f.last, time.Now())
	}
}

// flush sends what is due.
func (f *feed) flush() {
	if f.machine == nil || f.send == nil {
		return
	}
	requests := f.machine.Requests()
	if f.polled && len(requests) > 0 {
		f.asked()
	}
	f.send(requests)
}

func typeOf(m proto.Message) string {
	if t, ok := m.(interface{ GetTypeUrl() string }); ok {
		return t.GetTypeUrl()
	}
	return ""
}
