package server

import (
	"context"
	"errors"
	"maps"
	"slices"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/config"
	"github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"
	xds "github.com/envoyproxy/go-control-plane/pkg/server/stream/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// sotwStream is a stream of the state-of-the-world protocol, as
// go-control-plane's server of it sees it.
type sotwStream struct{ *stream }

var (
	_ cache.ConfigWatcher = sotwStream{}
	_ sotw.Callbacks      = sotwStream{}
)

// serveSotw serves one stream to its end.
func (s *Server) serveSotw(str xds.Stream, typeURL string) error {
	st, err := s.begin(str.Context(), typeURL, true)
	if err != nil {
		return err
	}
	defer st.close()
	w := sotwStream{st}
	loop := sotw.NewServer(st.ctx, w, w,
		sotw.WithOrderedADS(), sotw.WithLogger(silent{}), config.DeactivateLegacyWildcardForTypes(namedOnly()))
	return st.ended(loop.StreamHandler(str, typeURL))
}

// CreateWatch takes a request's subscription; what is lacking, now or later,
// goes to ch.
func (s sotwStream) CreateWatch(req *discovery.DiscoveryRequest, sub cache.Subscription, ch chan cache.Response) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, first, err := s.watch(req.GetTypeUrl())
	if err != nil {
		return nil, err
	}
	before := w.want
	if err := s.subscribe(w, interestOf(sub)); err != nil {
		return nil, err
	}
	if first {
		w.keeps = carriesAll(w.typeURL) && req.GetVersionInfo() != ""
	} else {
		w.followSotw(before)
	}
	// Each request of a stream for one type brings a channel of its own.
	promise := &sotwPromise{stream: s.stream, watch: w, req: &discovery.DiscoveryRequest{TypeUrl: w.typeURL}}
	w.put = func() error {
		select {
		case ch <- promise:
			return nil
		default:
			return errFull
		}
	}
	// go-control-plane has dropped what was queued for an earlier request.
	w.open, w.queued = true, false
	s.review(w)
	return func() { s.pause(w) }, nil
}

// followSotw makes known fit the subscription, which a request states anew.
func (w *watch) followSotw(before interest) {
	maps.DeleteFunc(w.known, func(name, _ string) bool { return !w.want.covers(name) })
	for name := range w.want.names {
		if _, told := w.known[name]; !told {
			w.recheck = append(w.recheck, name)
		}
	}
	w.all = w.all || w.want.all != before.all || len(w.want.globs) > 0
}

// sotwPromise is a response that is made when it is sent.
type sotwPromise struct {
	stream *stream
	watch  *watch
	req    *discovery.DiscoveryRequest
}

var _ cache.Response = (*sotwPromise)(nil)

// GetDiscoveryResponse makes the response: of listeners and clusters all that
// the client is to have, of other types what changed.
func (p *sotwPromise) GetDiscoveryResponse() (*discovery.DiscoveryResponse, error) {
	out := &discovery.DiscoveryResponse{TypeUrl: p.watch.typeURL}
	p.stream.build(p.watch, func(v view, steps []step) []item {
		out.VersionInfo = v.now.set(p.watch.typeURL).version
		if carriesAll(p.watch.typeURL) {
			items := p.watch.applyAll(v, steps)
			out.Resources = bodies(v.now.set(p.watch.typeURL), items)
			return items
		}
		for _, s := range steps {
			if s.entry != nil {
				out.Resources = append(out.Resources, s.entry.Body)
			}
		}
		return p.watch.apply(steps)
	})
	return out, nil
}

// applyAll records that the client is being told everything, and gives it as
// items, in the order of names.
func (w *watch) applyAll(v view, steps []step) (items []item) {
	before := maps.Clone(w.known)
	w.apply(steps)
	set := v.now.set(w.typeURL)
	for _, e := range w.choose(set) {
		if e, _ = w.pick(v, e); e != nil {
			items = append(items, item{name: e.Name, entry: e, before: before[e.Name]})
		}
	}
	return items
}

// choose gives the entries of a set that the client asks for, by name.
func (w *watch) choose(s *set) []*entry {
	if w.want.all {
		return s.sorted
	}
	var chosen []*entry
	for _, name := range slices.Sorted(maps.Keys(w.want.names)) {
		if e := s.byName[name]; e != nil {
			chosen = append(chosen, e)
		}
	}
	return chosen
}

// bodies are the encoded messages of items: the set's own list if they are all
// of it.
func bodies(s *set, items []item) []*anypb.Any {
	if len(items) == len(s.sorted) && !slices.ContainsFunc(items, func(it item) bool { return s.byName[it.name] != it.entry }) {
		return s.bodies
	}
	out := make([]*anypb.Any, len(items))
	for i, it := range items {
		out[i] = it.entry.Body
	}
	return out
}

// GetRequest tells go-control-plane the type.
func (p *sotwPromise) GetRequest() *discovery.DiscoveryRequest { return p.req }

// GetVersion is in the response itself.
func (p *sotwPromise) GetVersion() (string, error) { return "", nil }

// GetResponseVersion is in the response itself.
func (p *sotwPromise) GetResponseVersion() string { return "" }

// GetReturnedResources is what go-control-plane would keep: nothing, the stream
// keeps it; but a map, for it deletes from it.
func (p *sotwPromise) GetReturnedResources() map[string]string { return map[string]string{} }

// GetContext is the stream's.
func (p *sotwPromise) GetContext() context.Context { return p.stream.ctx }

// CreateDeltaWatch is for the other protocol.
func (s sotwStream) CreateDeltaWatch(*discovery.DeltaDiscoveryRequest, cache.Subscription, chan cache.DeltaResponse) (func(), error) {
	return nil, errors.New("a state-of-the-world stream has no delta watch")
}

// OnStreamOpen has nothing to do: serveSotw began the stream.
func (s sotwStream) OnStreamOpen(context.Context, int64, string) error { return nil }

// OnStreamClosed has nothing to do: serveSotw closes it.
func (s sotwStream) OnStreamClosed(int64, *core.Node) {}

// OnStreamRequest checks a request before go-control-plane works on it.
func (s sotwStream) OnStreamRequest(_ int64, req *discovery.DiscoveryRequest) error {
	// go-control-plane puts an empty node where a client sends none.
	if err := s.meet(req.GetNode()); err != nil {
		return err
	}
	typeURL, err := s.typeOf(req.GetTypeUrl())
	if err != nil {
		return err
	}
	if err := s.server.limits.names(typeURL, req.GetResourceNames(), nil); err != nil {
		return err
	}
	s.answer(typeURL, req.GetResponseNonce(), req.GetErrorDetail())
	return nil
}

// OnStreamResponse learns the nonce.
func (s sotwStream) OnStreamResponse(_ context.Context, _ int64, req *discovery.DiscoveryRequest, resp *discovery.DiscoveryResponse) {
	s.sending(req.GetTypeUrl(), resp.GetNonce())
}

// silent swallows go-control-plane's log: it says nothing that is not counted
// here.
type silent struct{}

// Debugf says nothing.
func (silent) Debugf(string, ...any) {}

// Infof says nothing.
func (silent) Infof(string, ...any) {}

// Warnf says nothing.
func (silent) Warnf(string, ...any) {}

// Errorf says nothing.
func (silent) Errorf(string, ...any) {}
