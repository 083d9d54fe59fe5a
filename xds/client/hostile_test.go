package client

// A control plane that means ill, or is broken.

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// hostile says what it is told to, whatever was asked.
type hostile struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	say      chan proto.Message
	requests chan proto.Message
	came     []proto.Message
}

func newHostile(t *testing.T) (*hostile, netip.AddrPort) {
	t.Helper()
	h := &hostile{say: make(chan proto.Message), requests: make(chan proto.Message, 1000)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.MaxSendMsgSize(1 << 30))
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, h)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = g.Serve(l)
	}()
	t.Cleanup(func() {
		g.Stop()
		<-served
	})
	return h, netip.MustParseAddrPort(l.Addr().String())
}

func (h *hostile) StreamAggregatedResources(s discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return serveHostile(h, s, func() (proto.Message, error) { return s.Recv() })
}

func (h *hostile) DeltaAggregatedResources(s discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return serveHostile(h, s, func() (proto.Message, error) { return s.Recv() })
}

func serveHostile(h *hostile, s grpc.ServerStream, recv func() (proto.Message, error)) error {
	go func() {
		for {
			m, err := recv()
			if err != nil {
				return
			}
			select {
			case h.requests <- m:
			default:
			}
		}
	}()
	for {
		select {
		case <-s.Context().Done():
			return nil
		case m := <-h.say:
			if err := s.SendMsg(m); err != nil {
				return err
			}
		}
	}
}

// answer waits for the answer to a nonce.
func (h *hostile) answer(t *testing.T, nonce string) (errorDetail string) {
	t.Helper()
	m := h.find(t, "an answer to "+nonce, func(m proto.Message) bool {
		n, ok := m.(interface{ GetResponseNonce() string })
		return ok && n.GetResponseNonce() == nonce
	})
	return m.(interface{ GetErrorDetail() *status.Status }).GetErrorDetail().GetMessage()
}

// asked waits for a request of a kind.
func (h *hostile) asked(t *testing.T, k kind) {
	t.Helper()
	h.find(t, "a request for "+kinds[k].name, func(m proto.Message) bool { return typeOf(m) == kinds[k].url })
}

// find takes the first request of which ok holds out of those that came.
func (h *hostile) find(t *testing.T, what string, ok func(proto.Message) bool) proto.Message {
	t.Helper()
	late := time.After(10 * time.Second)
	for looked := 0; ; looked++ {
		if looked == len(h.came) {
			select {
			case m := <-h.requests:
				h.came = append(h.came, m)
			case <-late:
				t.Fatalf("not in time: %s", what)
			}
		}
		if m := h.came[looked]; ok(m) {
			h.came = slices.Delete(h.came, looked, looked+1)
			return m
		}
	}
}

func plain(name string) *clusterv3.Cluster {
	return &clusterv3.Cluster{Name: name, ConnectTimeout: durationpb.New(1e9)}
}

// Each is refused by name with the reason, and changes nothing.
func TestHostileResponses(t *testing.T) {
	const clusters, listeners = typePrefix + "envoy.config.cluster.v3.Cluster", typePrefix + "envoy.config.listener.v3.Listener"
	ring := plain("ring")
	ring.LbPolicy = clusterv3.Cluster_RING_HASH
	ring.LbConfig = &clusterv3.Cluster_RingHashLbConfig_{RingHashLbConfig: &clusterv3.Cluster_RingHashLbConfig{MinimumRingSize: wrapperspb.UInt64(1 << 40)}}
	bomb := table("r", "good")
	bomb.VirtualHosts[0].Routes[0].Match = &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_SafeRegex{
		SafeRegex: &matcherv3.RegexMatcher{Regex: "((a{0,1000}){0,1000}){0,1000}"},
	}}
	newer := packed(plain("newer"))
	newer.Value = append(newer.Value, 0xfa, 0xff, 0xff, 0x7f, 0x01, 'x') // a field that is not known
	for _, c := range []struct {
		name      string
		url       string
		resources []*anypb.Any
		want      []string
	}{
		{"a type that does not exist", clusters, []*anypb.Any{{TypeUrl: typePrefix + "no.such.Type", Value: []byte("x")}}, []string{"no.such.Type", "want " + clusters}},
		{"another type than the response's", clusters, []*anypb.Any{packed(table("r", "x"))}, []string{"RouteConfiguration"}},
		{"a type that was not asked for", typePrefix + "envoy.extensions.transport_sockets.tls.v3.Secret", nil, []string{"Secret", "not subscribed"}},
		{"no type", "", nil, []string{"not subscribed"}},
		{"an empty Any", clusters, []*anypb.Any{{}}, []string{"type_url"}},
		{"not a message", clusters, []*anypb.Any{{TypeUrl: clusters, Value: []byte{0xff, 0xff}}}, []string{"not a message of its type"}},
		{"no name", clusters, []*anypb.Any{packed(plain(""))}, []string{"name"}},
		{"one name twice", clusters, []*anypb.Any{packed(plain("x")), packed(plain("x"))}, []string{"cluster 'x'", "twice"}},
		{"a name in the envelope that is not the resource's", clusters, []*anypb.Any{packed(&discoveryv3.Resource{Name: "y", Resource: packed(plain("x"))})}, []string{"cluster 'y'", `"x"`}},
		{"a ring of 2^40", clusters, []*anypb.Any{packed(ring)}, []string{"cluster 'ring'", "minimum_ring_size"}},
		{"a field of a newer API", clusters, []*anypb.Any{newer}, []string{"cluster 'newer'", "newer"}},
		{"a listener that names a cluster that there is not", listeners, []*anypb.Any{packed(tcpListener("t", "nowhere"))}, []string{"listener 't'", "unknown cluster 'nowhere'"}},
		{"a catastrophic regex", listeners, []*anypb.Any{packed(inlineListener("l", bomb))}, []string{"listener 'l'", "regex"}},
		{"more names than fit in full", clusters, manyBad(300), []string{"cluster 'bad000': lb_policy", "'bad016', 'bad017'", " and 188 more"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, at := newHostile(t)
			r := newRecorder()
			client := run(t, modes[1].options(at, r))
			h.asked(t, cds)
			h.say <- &discoveryv3.DiscoveryResponse{TypeUrl: clusters, VersionInfo: "1", Nonce: "first", Resources: []*anypb.Any{packed(plain("good"))}}
			if e := h.answer(t, "first"); e != "" {
				t.Fatal(e)
			}
			h.asked(t, lds)
			h.say <- &discoveryv3.DiscoveryResponse{TypeUrl: listeners, VersionInfo: "1", Nonce: "second"}
			h.answer(t, "second")
			readySoon(t, client)
			before := r.last()

			resources := c.resources
			if c.url == clusters { // else it would be gone
				resources = append([]*anypb.Any{packed(plain("good"))}, resources...)
			}
			h.say <- &discoveryv3.DiscoveryResponse{TypeUrl: c.url, VersionInfo: "2", Nonce: "bad", Resources: resources}
			detail := h.answer(t, "bad")
			for _, want := range c.want {
				if !strings.Contains(detail, want) {
					t.Errorf("the NACK does not say %q:\n%s", want, detail)
				}
			}
			if len(detail) > 4<<10 {
				t.Errorf("a NACK of %d bytes", len(detail))
			}
			after := r.last()
			if len(after.Clusters) != len(before.Clusters) || after.Cluster("good") != before.Cluster("good") || len(after.Listeners) != 0 {
				t.Errorf("it changed something: %d clusters, %d listeners", len(after.Clusters), len(after.Listeners))
			}
		})
	}
}

func manyBad(n int) (all []*anypb.Any) {
	for i := range n {
		c := plain("bad" + string(rune('0'+i/100)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10)))
		c.LbPolicy = 99
		all = append(all, packed(c))
	}
	return all
}

// A message of 64 MiB is not taken: the stream ends, the reason is told, and
// what was there stays.
func TestHugeMessage(t *testing.T) {
	h, at := newHostile(t)
	r := newRecorder()
	c := run(t, modes[1].options(at, r))
	h.asked(t, cds)
	h.say <- &discoveryv3.DiscoveryResponse{TypeUrl: kinds[cds].url, VersionInfo: "1", Nonce: "1", Resources: []*anypb.Any{packed(plain("good"))}}
	h.answer(t, "1")
	h.say <- &discoveryv3.DiscoveryResponse{TypeUrl: kinds[cds].url, VersionInfo: "2", Nonce: "2", Resources: []*anypb.Any{{TypeUrl: "x", Value: make([]byte, 64<<20)}}}
	eventually(t, "the reason", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.feeds) == 1 && c.count.failures > 0
	})
	if r.last().Cluster("good") == nil {
		t.Error("what was there is gone")
	}
	h.asked(t, cds) // it comes again
}

// The same refused version again and again costs the server one NACK a second.
func TestRefusalsAreNotAnsweredAtOnce(t *testing.T) {
	h, at := newHostile(t)
	run(t, modes[1].options(at, newRecorder()))
	h.asked(t, cds)
	bad := plain("x")
	bad.LbPolicy = 99
	say := func(nonce string) {
		h.say <- &discoveryv3.DiscoveryResponse{TypeUrl: kinds[cds].url, VersionInfo: "1", Nonce: nonce, Resources: []*anypb.Any{packed(bad)}}
		if h.answer(t, nonce) == "" {
			t.Error("accepted")
		}
	}
	say("1")
	begin := stopwatch()
	say("2")
	if took := begin(); took < repeat/2 {
		t.Errorf("the second NACK came after %s", took)
	}
}

// What is good is answered at once, although the same refused version has come
// again before it; and so is another type.
func TestWhatIsGoodDoesNotWaitForRefusals(t *testing.T) {
	h, at := newHostile(t)
	r := newRecorder()
	run(t, modes[1].options(at, r))
	h.asked(t, cds)
	bad := plain("x")
	bad.LbPolicy = 99
	say := func(k kind, version, nonce string, body *anypb.Any) {
		h.say <- &discoveryv3.DiscoveryResponse{TypeUrl: kinds[k].url, VersionInfo: version, Nonce: nonce, Resources: []*anypb.Any{body}}
	}
	say(cds, "1", "1", packed(bad))
	if h.answer(t, "1") == "" {
		t.Error("accepted")
	}
	begin := stopwatch()
	say(cds, "1", "2", packed(bad))
	say(cds, "1", "3", packed(bad))
	h.asked(t, lds)
	say(lds, "1", "4", packed(&listenerv3.Listener{Name: "l"}))
	h.answer(t, "4")
	say(cds, "2", "5", packed(plain("x")))
	if h.answer(t, "2") == "" || h.answer(t, "3") == "" || h.answer(t, "5") != "" {
		t.Error("want two refusals and an acceptance")
	}
	if took := begin(); took > repeat/2 {
		t.Errorf("what is good was answered after %s", took)
	}
	if r.last().Cluster("x") == nil {
		t.Error("it is not in use")
	}
}
