package httpproxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
)

// grpcCall is a call over a connection of its own: the fields that came back, "-"
// if the stream was reset, and how long it took.
func (g *stage) grpcCall(lines ...string) (got string, took time.Duration) {
	g.play(func() {
		began := g.Now()
		c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
		must(g.t, err)
		o := config.H2Defaults()
		s := &h2Scenario{scenario: &scenario{stage: g}}
		h := h2.Connect(c, h2.NewOptions(&o, http1.DefaultLimits(), 64<<10, time.Second, time.Minute), &guest{s: s}, &s.count, &s.spare[1])
		st, err := h.Open()
		must(g.t, err)
		st.Head()
		st.Request([]byte("POST"), []byte("http"), []byte("a"), []byte("/svc/Method"), nil)
		for _, l := range lines {
			name, value, _ := strings.Cut(l, ": ")
			st.Field([]byte(name), []byte(value), http1.LookupField([]byte(name)))
		}
		st.SendHead(false)
		st.Send([]byte("\x00\x00\x00\x00\x00"), true)
		for !st.Answered() {
			if st.Wait(0) != nil {
				got = "-"
				break
			}
		}
		for _, f := range st.Fields.Headers {
			if name := string(f.Name); strings.HasPrefix(name, ":") || strings.HasPrefix(name, "grpc") || name == "content-type" {
				got += fmt.Sprintf("%s: %s\n", f.Name, f.Value)
			}
		}
		if st.Answered() {
			if body, whole := readStream(st, 0); body != "" || !whole {
				got += fmt.Sprintf("%q %v\n", body, whole)
			}
		}
		took = g.Now() - began
		st.Close()
		h.Shut(http2.NoError, "")
		c.Close()
	})
	return got, took
}

const isCall = "content-type: application/grpc"

// Every answer of attache's own is one that a gRPC client understands.
func TestSimGRPCLocalReplies(t *testing.T) {
	refused := toCluster("c")
	for _, c := range []struct {
		name  string
		setup func(*stage)
		route *config.Route
		want  string
	}{
		{"no route", nil, prefix("/other", refused), "grpc-status: 12\n"},
		{"refused", func(g *stage) { g.Refuse(backendAddr, true) }, prefix("/", refused), "grpc-status: 14\ngrpc-message: upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused\n"},
		{"no cluster", nil, prefix("/", toCluster("none")), "grpc-status: 14\n"},
		{"direct", nil, prefix("/", &config.Direct{Status: 403, Body: "no, 100 % no\n"}), "grpc-status: 7\ngrpc-message: no, 100 %25 no%0A\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newStage(t, 1, testHTTP(c.route))
			if c.setup != nil {
				c.setup(g)
			}
			got, _ := g.grpcCall(isCall)
			if want := ":status: 200\ncontent-type: application/grpc\n" + c.want; got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
			g.end()
		})
	}
}

// A call's own deadline, as far as the route lets it count, ends it with
// DEADLINE_EXCEEDED, and the host is told the same.
func TestSimGRPCDeadline(t *testing.T) {
	second, none := time.Second, time.Duration(0)
	for _, c := range []struct {
		name   string
		route  func(*config.Forward)
		asked  string
		told   string        // the host's grpc-timeout
		within time.Duration // 0: the host answers, after 1.5 s
	}{
		{"not asked for", func(f *config.Forward) {}, "100m", "100m", 0},
		{"counts", func(f *config.Forward) { f.GRPCTimeoutMax = &none }, "100m", "100m", 100 * time.Millisecond},
		{"is capped", func(f *config.Forward) { f.GRPCTimeoutMax = &second }, "1H", "1000m", time.Second},
		{"less the offset", func(f *config.Forward) { f.GRPCTimeoutMax, f.GRPCTimeoutOffset = &none, second/2 }, "1S", "500m", time.Second / 2},
		{"the route's own", func(f *config.Forward) { f.MaxStream = &second }, "", "1000m", time.Second},
		{"the route's own tells the host", func(f *config.Forward) { f.MaxStream = &second }, "9S", "1000m", time.Second},
		{"no number", func(f *config.Forward) { f.GRPCTimeoutMax = &none }, "soon", "soon", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := toCluster("c")
			c.route(f)
			f.NewTimeouts = f.MaxStream != nil || f.GRPCTimeoutMax != nil
			k := testCluster("c", backendAddr)
			k.HTTP.Protocol = config.UpstreamHTTP2
			g := newStage(t, 1, testHTTP(prefix("/", f)), k)
			host := &slowHost{stage: g}
			host.listen()
			lines := []string{isCall}
			if c.asked != "" {
				lines = append(lines, "grpc-timeout: "+c.asked)
			}
			got, took := g.grpcCall(lines...)
			want := ":status: 200\ncontent-type: application/grpc\ngrpc-status: 4\ngrpc-message: downstream duration timeout\n"
			if c.within == 0 {
				want = ":status: 200\ngrpc-status: 0\n"
			} else if took < c.within || took > c.within+100*time.Millisecond {
				t.Errorf("took %v, want %v", took, c.within)
			}
			if got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
			if host.told != c.told {
				t.Errorf("the host was told %q, want %q", host.told, c.told)
			}
			g.end()
		})
	}
}

// slowHost answers a call after 1.5 s.
type slowHost struct {
	*stage
	told  string
	count h2.Counters
	spare h2.Spare
}

func (h *slowHost) listen() {
	o := config.H2Defaults()
	opts := h2.NewOptions(&o, http1.DefaultLimits(), 64<<10, time.Second, time.Minute)
	l, err := h.backend.Listen(backendAddr, loop.ListenOptions{}, func(c *loop.Conn) { h2.Serve(c, opts, h, &h.count, &h.spare) })
	must(h.t, err)
	h.closing = append(h.closing, l.Close)
}

func (h *slowHost) Changed(*h2.Conn)   {}
func (h *slowHost) Lost(*h2.Conn)      {}
func (h *slowHost) Expired(c *h2.Conn) { c.Shut(http2.NoError, "") }

func (h *slowHost) Opened(st *h2.Stream, _ error) {
	for _, f := range st.Fields.Headers {
		if f.ID == http1.FieldGrpcTimeout {
			h.told = string(f.Value)
		}
	}
	h.backend.Go(func() {
		defer st.Close()
		h.backend.Sleep(1500 * time.Millisecond)
		if st.Head() {
			st.Status(200)
			st.Field([]byte("grpc-status"), []byte("0"), http1.FieldGrpcStatus)
			st.SendHead(true)
		}
	})
}

func TestGRPCTimeout(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration
		out  string
	}{
		{"1H", time.Hour, "3600000m"},
		{"99999999H", (1 << 20) * time.Hour, "62914560M"},
		{"2M", 2 * time.Minute, "120000m"},
		{"3S", 3 * time.Second, "3000m"},
		{"4m", 4 * time.Millisecond, "4m"},
		{"1u", time.Millisecond, "1m"},
		{"1001u", 2 * time.Millisecond, "2m"},
		{"1n", time.Millisecond, "1m"},
		{"0m", 0, "0m"},
		{"99999999S", 99999999 * time.Second, "99999999S"},
		{"", -1, ""},
		{"1", -1, ""},
		{"m", -1, ""},
		{"-1m", -1, ""},
		{"+1m", -1, ""},
		{"1x", -1, ""},
		{"123456789m", -1, ""},
	} {
		got, ok := parseGRPCTimeout([]byte(c.in))
		if ok != (c.want >= 0) || ok && got != c.want {
			t.Errorf("%q: got %v, %v", c.in, got, ok)
		}
		if out := string(appendGRPCTimeout(nil, got)); ok && out != c.out {
			t.Errorf("%q: written as %q, want %q", c.in, out, c.out)
		}
	}
}
