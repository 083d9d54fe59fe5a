package server

import (
	"context"
	"errors"
	"maps"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/config"
	"github.com/envoyproxy/go-control-plane/pkg/server/delta/v3"
	xds "github.com/envoyproxy/go-control-plane/pkg/server/stream/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// deltaStream is a stream of the incremental protocol, as go-control-plane's
// delta server sees it.
type deltaStream struct{ *stream }

var (
	_ cache.ConfigWatcher = deltaStream{}
	_ delta.Callbacks     = deltaStream{}
)

// serveDelta serves one stream to its end.
func (s *Server) serveDelta(str xds.DeltaStream, typeURL string) error {
	st, err := s.begin(str.Context(), typeURL, false)
	if err != nil {
		return err
	}
	defer st.close()
	d := deltaStream{st}
	loop := delta.NewServer(st.ctx, d, d, config.DeactivateLegacyWildcardForTypes(namedOnly()))
	return st.ended(loop.DeltaStreamHandler(str, typeURL))
}

// CreateDeltaWatch takes a request's subscription; what is lacking, now or
// later, goes to ch.
func (d deltaStream) CreateDeltaWatch(req *discovery.DeltaDiscoveryRequest, sub cache.Subscription, ch chan cache.DeltaResponse) (func(), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w, first, err := d.watch(req.GetTypeUrl())
	if err != nil {
		return nil, err
	}
	before := w.want
	if err := d.subscribe(w, interestOf(sub)); err != nil {
		return nil, err
	}
	if first {
		d.remember(w, sub.ReturnedResources())
		promise := &deltaPromise{stream: d.stream, watch: w, req: &discovery.DeltaDiscoveryRequest{TypeUrl: w.typeURL}}
		w.put = func() error {
			select {
			case ch <- promise:
				return nil
			default:
				return errFull
			}
		}
	} else {
		w.followDelta(before, req)
	}
	w.open = !w.queued // what is queued will be built of the new subscription
	d.review(w)
	return func() { d.pause(w) }, nil
}

// remember takes what a client says that it has. Names and versions that are
// those of the group are the group's own text: of thousands of members each
// client would otherwise keep a copy. The lock is held.
func (st *stream) remember(w *watch, versions map[string]string) {
	current := &set{}
	if v, ok := st.view(); ok {
		current = v.now.set(w.typeURL)
	}
	for name, version := range versions {
		if e := current.byName[name]; e != nil {
			name = e.Name
			if version == e.Version {
				version = e.Version
			}
		}
		w.known[name] = version
	}
}

// errFull cannot happen while a stream has no more than maxTypes types.
var errFull = status.Error(codes.Internal, "the stream's channel of responses is full")

// pause ends a watch: until the next one go-control-plane changes the
// subscription, and it must not be read.
func (st *stream) pause(w *watch) {
	st.mu.Lock()
	defer st.mu.Unlock()
	w.open = false
}

// followDelta makes known fit a changed subscription.
func (w *watch) followDelta(before interest, req *discovery.DeltaDiscoveryRequest) {
	if before.all != w.want.all || len(before.globs)+len(w.want.globs) > 0 && len(req.GetResourceNamesSubscribe())+len(req.GetResourceNamesUnsubscribe()) > 0 {
		w.all = true
		maps.DeleteFunc(w.known, func(name, _ string) bool { return !w.want.covers(name) })
	}
	w.recheck = append(w.recheck, req.GetResourceNamesSubscribe()...)
	for _, name := range req.GetResourceNamesUnsubscribe() {
		if w.want.covers(name) {
			// Still wanted by the wildcard: the client must be told what there
			// is (xDS protocol, "Unsubscribing from resources").
			w.known[name] = ""
			w.recheck = append(w.recheck, name)
		} else {
			delete(w.known, name)
			delete(w.refused, name)
		}
	}
}

// deltaPromise is a response that is made when it is sent. One serves a watch
// for good: at most one is queued.
type deltaPromise struct {
	stream *stream
	watch  *watch
	req    *discovery.DeltaDiscoveryRequest
}

var _ cache.DeltaResponse = (*deltaPromise)(nil)

// GetDeltaDiscoveryResponse makes the response; its resources are those of
// every client that gets them.
func (p *deltaPromise) GetDeltaDiscoveryResponse() (*discovery.DeltaDiscoveryResponse, error) {
	out := &discovery.DeltaDiscoveryResponse{TypeUrl: p.watch.typeURL}
	p.stream.build(p.watch, func(v view, steps []step) []item {
		out.SystemVersionInfo = v.now.set(p.watch.typeURL).version
		for _, s := range steps {
			if s.entry != nil {
				out.Resources = append(out.Resources, s.entry.wire)
			} else {
				out.RemovedResources = append(out.RemovedResources, s.name)
			}
		}
		return p.watch.apply(steps)
	})
	return out, nil
}

// GetDeltaRequest tells go-control-plane the type.
func (p *deltaPromise) GetDeltaRequest() *discovery.DeltaDiscoveryRequest { return p.req }

// GetSystemVersion is in the response itself.
func (p *deltaPromise) GetSystemVersion() (string, error) { return "", nil }

// GetResponseVersion is in the response itself.
func (p *deltaPromise) GetResponseVersion() string { return "" }

// GetNextVersionMap is what go-control-plane would keep: nothing, the stream
// keeps it; but a map, for it deletes from it.
func (p *deltaPromise) GetNextVersionMap() map[string]string { return map[string]string{} }

// GetReturnedResources is GetNextVersionMap.
func (p *deltaPromise) GetReturnedResources() map[string]string { return p.GetNextVersionMap() }

// GetContext is the stream's.
func (p *deltaPromise) GetContext() context.Context { return p.stream.ctx }

// CreateWatch is for the other protocol.
func (d deltaStream) CreateWatch(*discovery.DiscoveryRequest, cache.Subscription, chan cache.Response) (func(), error) {
	return nil, errors.New("a delta stream has no state-of-the-world watch")
}

// OnDeltaStreamOpen has nothing to do: serveDelta began the stream.
func (d deltaStream) OnDeltaStreamOpen(context.Context, int64, string) error { return nil }

// OnDeltaStreamClosed has nothing to do: serveDelta closes it.
func (d deltaStream) OnDeltaStreamClosed(int64, *core.Node) {}

// OnStreamDeltaRequest checks a request before go-control-plane works on it.
func (d deltaStream) OnStreamDeltaRequest(_ int64, req *discovery.DeltaDiscoveryRequest) error {
	if err := d.meet(req.GetNode()); err != nil {
		return err
	}
	typeURL, err := d.typeOf(req.GetTypeUrl())
	if err != nil {
		return err
	}
	limits := d.server.limits
	if err := limits.names(typeURL, req.GetResourceNamesSubscribe(), req.GetResourceNamesUnsubscribe()); err != nil {
		return err
	}
	if err := limits.versions(typeURL, req.GetInitialResourceVersions()); err != nil {
		return err
	}
	d.answer(typeURL, req.GetResponseNonce(), req.GetErrorDetail())
	return nil
}

// OnStreamDeltaResponse learns the nonce.
func (d deltaStream) OnStreamDeltaResponse(_ int64, req *discovery.DeltaDiscoveryRequest, resp *discovery.DeltaDiscoveryResponse) {
	d.sending(req.GetTypeUrl(), resp.GetNonce())
}
