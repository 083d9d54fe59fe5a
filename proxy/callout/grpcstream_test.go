package callout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// echoMessages answers each message with itself until the client ends, or fault
// says how else it goes.
func echoMessages(st *h2.Stream, fault func(n int) bool) {
	if !st.Head() {
		return
	}
	st.Status(200)
	st.SendHead(false)
	var buf []byte
	for n := 0; ; {
		buf = append(buf, st.Buffered()...)
		st.Discard(st.Pending())
		for {
			msg, rest, ok := cutFrame(buf)
			if !ok {
				break
			}
			if fault != nil && fault(n) {
				return
			}
			st.Send(append(AppendFrame(nil, len(msg)), msg...), false)
			buf = rest
			n++
		}
		if st.Last() {
			st.SendTrailers(append(st.Trailers.Headers[:0], Field("grpc-status", "0")))
			return
		}
		if st.Wait(0) != nil {
			return
		}
	}
}

func streamMethod() *Method {
	m := &Method{Authority: []byte("s"), Path: []byte("/s/M"), MaxMessage: 1 << 20}
	m.Ready()
	return m
}

// Messages of all sizes go out and come back, cut as the weather will, also where
// the service's messages are longer than the window.
func TestSimStream(t *testing.T) {
	for seed := range loop.Seeds(t, 100) {
		g := newStage(t, seed, config.UpstreamHTTP2, hostAddr)
		if seed%2 == 0 {
			g.asked.HTTP.HTTP2.StreamWindow = 1000
			must(t, g.cluster.Update(g.asked))
		}
		g.serve2(hostAddr, func(st *h2.Stream, _ string) { echoMessages(st, nil) })
		g.do(func() {
			s := &Stream{}
			defer s.Close()
			if o := s.Open(g.w, g.cluster, streamMethod()); o != outcome.OK {
				t.Errorf("open: %v", o)
				return
			}
			rng := g.Rand()
			for i := range 10 {
				out := strings.Repeat(string(rune('a'+i)), []int{0, 1, 100, 3000, 20_000}[rng.IntN(5)])
				if o := s.Send([]byte(out), false); o != outcome.OK {
					t.Errorf("send: %v", o)
					return
				}
				if got, o := s.Receive(0); o != outcome.OK || got == nil || string(got) != out {
					t.Errorf("got %d bytes and %v, want %d", len(got), o, len(out))
					return
				}
			}
			s.SendEnd()
			if got, o := s.Receive(0); got != nil || o != outcome.OK {
				t.Errorf("at the end: %q, %v", got, o)
			}
			if st := s.Status(); !st.OK() {
				t.Errorf("status %+v", st)
			}
		})
		g.wait()
		g.SetLink(config.Address{}, loop.Link{})
		g.end()
	}
}

// How a stream ends when it does not go well.
func TestSimStreamEnds(t *testing.T) {
	for _, c := range []struct {
		name  string
		serve func(g *stage, st *h2.Stream)
		does  func(g *stage, s *Stream) string
		want  string
	}{
		{
			"nobody answers", func(_ *stage, st *h2.Stream) { _ = st.Wait(0); _ = st.Wait(0) },
			func(_ *stage, s *Stream) string { _, o := s.Receive(200 * time.Millisecond); return fmt.Sprint(o, s.o) },
			fmt.Sprint(outcome.Timeout, outcome.OK),
		},
		{
			"reset", func(_ *stage, st *h2.Stream) { st.Reset(http2.InternalError) },
			func(_ *stage, s *Stream) string { _, o := s.Receive(0); return fmt.Sprint(o, s.Status().Code) },
			fmt.Sprint(outcome.UpstreamReset, 13),
		},
		{
			"cancelled", func(_ *stage, st *h2.Stream) { readStream(st) },
			func(g *stage, s *Stream) string {
				g.w.Go(s.Cancel)
				_, o := s.Receive(0)
				return fmt.Sprint(o)
			},
			fmt.Sprint(outcome.DownstreamGone),
		},
		{
			"refused", func(_ *stage, st *h2.Stream) { reply(st, 200, "", Field("grpc-status", "7")) },
			func(_ *stage, s *Stream) string { m, o := s.Receive(0); return fmt.Sprint(m, o, s.Status().Code) },
			fmt.Sprint([]byte(nil), outcome.OK, 7),
		},
		{
			"not gRPC", func(_ *stage, st *h2.Stream) { reply(st, 503, "sorry, not today") },
			func(_ *stage, s *Stream) string { m, o := s.Receive(0); return fmt.Sprint(m, o, s.Status().Code) },
			fmt.Sprint([]byte(nil), outcome.OK, 14),
		},
		{
			"a message too long", func(_ *stage, st *h2.Stream) {
				echoMessages(st, func(int) bool { st.Send([]byte("\x00\x7f\xff\xff\xff"), false); return true })
			},
			func(_ *stage, s *Stream) string { s.Send(nil, false); _, o := s.Receive(0); return fmt.Sprint(o) },
			fmt.Sprint(outcome.ProtocolError),
		},
		{
			"an end amid a message", func(_ *stage, st *h2.Stream) {
				reply(st, 200, "\x00\x00\x00\x00\x09half", Field("grpc-status", "0"))
			},
			func(_ *stage, s *Stream) string { _, o := s.Receive(0); return fmt.Sprint(o) },
			fmt.Sprint(outcome.ProtocolError),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newStage(t, 1, config.UpstreamHTTP2, hostAddr)
			g.serve2(hostAddr, func(st *h2.Stream, _ string) { c.serve(g, st) })
			g.do(func() {
				s := &Stream{}
				defer s.Close()
				if o := s.Open(g.w, g.cluster, streamMethod()); o != outcome.OK {
					t.Errorf("open: %v", o)
					return
				}
				if got := c.does(g, s); got != c.want {
					t.Errorf("got %s, want %s", got, c.want)
				}
			})
			g.wait()
			g.end()
		})
	}
}
