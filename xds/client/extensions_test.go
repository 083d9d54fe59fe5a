package client

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	grpcwebv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/stats"
	"github.com/attache-mesh/attache/xds/envoyv3"
)

func extension(t *testing.T, name string, m proto.Message) *corev3.TypedExtensionConfig {
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return &corev3.TypedExtensionConfig{Name: name, TypedConfig: a}
}

// limited is a listener with one filter by discovery.
func limited(from config.Source, types ...string) *config.Listener {
	d := &config.FilterDiscovery{Name: "limit", Source: from, Types: types}
	return &config.Listener{Name: "l", DefaultChain: &config.FilterChain{Handler: &config.HTTP{
		Routes: &config.RouteTable{}, Filters: []config.HTTPFilter{{Name: "limit", Discovery: d}},
	}}}
}

// limit is what the filter of the listener is; -1: it has none; -2: there is no listener.
func limit(s *config.Snapshot) int {
	l := s.Listener("l")
	if l == nil {
		return -2
	}
	if b, ok := l.DefaultChain.Handler.(*config.HTTP).Filters[0].Config.(*config.Buffer); ok {
		return int(b.MaxBytes)
	}
	return -1
}

// A filter's configuration comes in every way of connecting; a bad one, and one of another type,
// are refused by name and the one before stays.
func TestExtensions(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			s, r := stockOf(t, "127.0.0.1:0", !m.separate), newRecorder()
			o := m.options(s.address, r)
			o.CDS, o.LDS = config.Source{}, config.Source{}
			static := config.Resources{Listeners: []*config.Listener{limited(m.secretSource(15*time.Second), "envoy.extensions.filters.http.buffer.v3.Buffer")}}
			o.Static = func(envoyv3.Runtime) config.Resources { return static }
			s.set(t, extension(t, "limit", &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(5)}))
			c := run(t, o)
			readySoon(t, c)
			if n := limit(r.last()); n != 5 {
				t.Fatalf("ready with %d", n)
			}
			s.set(t, extension(t, "limit", &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(6)}))
			r.until(t, "the next", func(s *config.Snapshot) bool { return limit(s) == 6 })
			if n := s.refusals(); n != nil {
				t.Errorf("refused: %q", n)
			}
			s.set(t, extension(t, "limit", &bufferv3.Buffer{}))
			refusedFor(t, s, "max_request_bytes")
			s.set(t, extension(t, "limit", &grpcwebv3.GrpcWeb{}))
			refusedFor(t, s, "Error: filter config has type URL envoy.extensions.filters.http.grpc_web.v3.GrpcWeb but expect envoy.extensions.filters.http.buffer.v3.Buffer.")
			if n := limit(r.last()); n != 6 {
				t.Errorf("the filter's limit is %d now", n)
			}
			if n := figure(c, "extension_config_discovery.http_filter.limit.config_reload"); n < 2 {
				t.Errorf("%d reloads are counted", n)
			}
		})
	}
}

// What a server of the incremental protocol takes away is the default, or none, and comes back;
// nobody who does not take the type of what is there changes that for the others.
func TestExtensionThatGoes(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			s, r := stockOf(t, "127.0.0.1:0", !m.separate), newRecorder()
			o := m.options(s.address, r)
			o.CDS, o.LDS = config.Source{}, config.Source{}
			l := limited(m.secretSource(15*time.Second), "envoy.extensions.filters.http.buffer.v3.Buffer")
			with := limited(m.secretSource(15*time.Second), "envoy.extensions.filters.http.buffer.v3.Buffer")
			with.Name = "with"
			with.DefaultChain.Handler.(*config.HTTP).Filters[0].Discovery.Default = &config.Buffer{MaxBytes: 1}
			static := config.Resources{Listeners: []*config.Listener{l, with}}
			o.Static = func(envoyv3.Runtime) config.Resources { return static }
			five := extension(t, "limit", &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(5)})
			s.set(t, five)
			c := run(t, o)
			readySoon(t, c)
			odd := limited(m.secretSource(15*time.Second), "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb")
			odd.Name = "odd"
			c.report(t.Context(), func(time.Time) {
				c.static.Listeners = append(slices.Clone(c.static.Listeners), odd)
				c.dirty = true
			})
			r.until(t, "one of another type", func(s *config.Snapshot) bool { return s.Listener("odd") != nil })
			if n := limit(r.last()); n != 5 {
				t.Errorf("the first has %d now", n)
			}
			eventually(t, "a conflict", func() bool { return figure(c, "extension_config_discovery.http_filter.limit.config_conflict") == 1 })
			if n := figure(c, "extension_config_discovery.http_filter.limit.config_fail"); n != 0 {
				t.Errorf("%d are said to have failed", n)
			}
			if !m.delta {
				return // nothing is taken away
			}
			s.set(t)
			r.until(t, "none", func(s *config.Snapshot) bool { return limit(s) == -1 })
			if b, ok := r.last().Listener("with").DefaultChain.Handler.(*config.HTTP).Filters[0].Config.(*config.Buffer); !ok || b.MaxBytes != 1 {
				t.Errorf("the default does not stand: %+v", b)
			}
			s.set(t, five)
			r.until(t, "it again", func(s *config.Snapshot) bool { return limit(s) == 5 })
		})
	}
}

func refusedFor(t *testing.T, s *stock, why string) {
	t.Helper()
	eventually(t, "a refusal", func() bool {
		return slices.ContainsFunc(s.refusals(), func(n string) bool { return strings.Contains(n, why) })
	})
}

// A first one that is bad is waited for no longer, and neither is one that does not come; who
// has a default does with that.
func TestExtensionThatIsNone(t *testing.T) {
	m := modes[0]
	s, r := newStock(t, "127.0.0.1:0"), newRecorder()
	o := m.options(s.address, r)
	l := limited(m.secretSource(time.Minute), "envoy.extensions.filters.http.buffer.v3.Buffer")
	other := limited(m.secretSource(100*time.Millisecond), "envoy.extensions.filters.http.buffer.v3.Buffer")
	other.Name = "other"
	d := other.DefaultChain.Handler.(*config.HTTP).Filters[0].Discovery
	d.Name, d.Default = "none", &config.Buffer{MaxBytes: 1}
	static := config.Resources{Listeners: []*config.Listener{l, other}}
	o.Static = func(envoyv3.Runtime) config.Resources { return static }
	s.set(t, extension(t, "limit", &bufferv3.Buffer{}))
	readySoon(t, run(t, o))
	if _, ok := r.last().Listener("l").DefaultChain.Handler.(*config.HTTP).Filters[0].Config.(*config.NoFilterConfig); !ok {
		t.Error("a bad one stands")
	}
	if b, ok := r.last().Listener("other").DefaultChain.Handler.(*config.HTTP).Filters[0].Config.(*config.Buffer); !ok || b.MaxBytes != 1 {
		t.Errorf("the default does not stand: %+v", b)
	}
	s.set(t, extension(t, "limit", &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(6)}))
	r.until(t, "a good one", func(s *config.Snapshot) bool { return limit(s) == 6 })
}

// figure is a statistic of the client's.
func figure(c *Client, name string) uint64 {
	sum := &stats.Sum{}
	c.Stats(sum)
	for _, row := range sum.Rows() {
		if row.Name == name {
			return row.Value
		}
	}
	return 0
}
