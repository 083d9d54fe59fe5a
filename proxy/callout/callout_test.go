package callout

import (
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// What a host does to a call, and how the call ends.
func TestSimOutcomesHTTP1(t *testing.T) {
	for _, c := range []struct {
		name  string
		host  func(g *stage, c *loop.Conn) bool
		setup func(g *stage)
		req   func(*Request)
		want  outcome.Outcome
		body  string
		took  time.Duration
	}{
		{name: "answers", host: says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), body: "hello"},
		{name: "in chunks", host: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), body: "hello"},
		{name: "until it closes", host: closes("HTTP/1.1 200 OK\r\n\r\nhello"), body: "hello"},
		{name: "after interim heads", host: says("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), body: "hello"},
		{name: "nothing but garbage", host: says("SSH-2.0\r\n\r\n"), want: outcome.ProtocolError},
		{name: "hangs up", host: closes(""), want: outcome.ConnectionLost},
		{name: "hangs up midway", host: closes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"), want: outcome.LostMidway},
		{name: "says too much", host: says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), req: func(r *Request) { r.MaxBody = 4 }, want: outcome.BodyTooLarge},
		{name: "is thrown away", host: says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), req: func(r *Request) { r.MaxBody, r.Discard = 4, true }},
		{name: "is silent", host: says(""), req: func(r *Request) { r.Timeout = 300 * time.Millisecond }, want: outcome.Timeout, took: 300 * time.Millisecond},
		{name: "is not there", setup: func(g *stage) { g.Refuse(hostAddr, true) }, want: outcome.ConnectRefused},
		{name: "cannot be reached", setup: func(g *stage) { g.Blackhole(hostAddr, true) }, want: outcome.ConnectTimeout, took: time.Second},
		{name: "cannot be reached in time", setup: func(g *stage) { g.Blackhole(hostAddr, true) }, req: func(r *Request) { r.Timeout = 100 * time.Millisecond }, want: outcome.Timeout, took: 100 * time.Millisecond},
		{name: "is not asked for", host: says(""), req: func(r *Request) { r.Gone = func() bool { return true } }, want: outcome.DownstreamGone, took: glance},
		{name: "is one too many", setup: func(g *stage) { g.cluster.Breakers[0].Requests.SetLimit(0) }, want: outcome.Overflow},
		{name: "is gone", setup: func(g *stage) { must(g.t, g.cluster.Update(testCluster(config.UpstreamHTTP1))) }, want: outcome.NoHost},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newStage(t, 1, config.UpstreamHTTP1, hostAddr)
			g.SetLink(config.Address{}, loop.Link{})
			g.serve1(hostAddr, func(conn *loop.Conn, _, _ string) bool { return c.host(g, conn) })
			if c.setup != nil {
				c.setup(g)
			}
			g.do(func() {
				r, call, began := get("/"), &Call{}, g.Now()
				if c.req != nil {
					c.req(r)
				}
				a, o := call.Ask(g.w, g.cluster, r)
				if o != c.want || o == outcome.OK && string(a.Body) != c.body {
					t.Errorf("got %v with %q, want %v with %q", o, a.Body, c.want, c.body)
				}
				if took := g.Now() - began; took < c.took || took > c.took+50*time.Millisecond {
					t.Errorf("it took %v, want %v", took, c.took)
				}
			})
			g.wait()
			g.end()
		})
	}
}

func says(text string) func(*stage, *loop.Conn) bool {
	return func(_ *stage, c *loop.Conn) bool {
		_, _ = c.Write([]byte(text))
		return true
	}
}

func closes(text string) func(*stage, *loop.Conn) bool {
	return func(_ *stage, c *loop.Conn) bool {
		_, _ = c.Write([]byte(text))
		_ = c.Drain(0)
		return false
	}
}

// A connection is kept and used again; one that the host has closed meanwhile is
// replaced without a word, for it cannot have done anything.
func TestSimKeptConnection(t *testing.T) {
	g := newStage(t, 1, config.UpstreamHTTP1, hostAddr)
	g.SetLink(config.Address{}, loop.Link{})
	g.serve1(hostAddr, func(c *loop.Conn, path, body string) bool {
		_, _ = c.Write(ok1(path + body))
		return path != "/last"
	})
	g.do(func() {
		call := &Call{}
		for _, path := range []string{"/1", "/2", "/last", "/4"} {
			r := get(path)
			r.Method, r.Body = []byte("POST"), []byte("-body")
			a, o := call.Ask(g.w, g.cluster, r)
			if o != outcome.OK || string(a.Body) != path+"-body" {
				t.Errorf("%s: got %v with %q", path, o, a.Body)
			}
		}
	})
	g.wait()
	if n := g.cluster.On(g.w).Pool.Connections; n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
	n := g.cluster.On(g.w).Count
	if n.RqTotal != 4 || n.Rq2xx != 4 || n.RqCompleted != 4 {
		t.Errorf("counted %+v", n)
	}
	g.end()
}

// Cancel ends a call wherever it waits.
func TestSimCancel(t *testing.T) {
	for name, p := range map[string]config.UpstreamProtocol{"http1": config.UpstreamHTTP1, "http2": config.UpstreamHTTP2} {
		for _, after := range []time.Duration{0, 50 * time.Millisecond, 3 * time.Second} {
			t.Run(name+" "+after.String(), func(t *testing.T) {
				g := newStage(t, 1, p, hostAddr)
				g.SetLink(config.Address{}, loop.Link{Latency: 30 * time.Millisecond})
				if p == config.UpstreamHTTP1 {
					g.serve1(hostAddr, func(*loop.Conn, string, string) bool { return true })
				} else {
					g.serve2(hostAddr, func(st *h2.Stream, _ string) { readStream(st); _ = st.Wait(0) })
				}
				call := &Call{}
				g.do(func() {
					if _, o := call.Ask(g.w, g.cluster, get("/")); o != outcome.DownstreamGone {
						t.Errorf("got %v", o)
					}
				})
				g.do(func() {
					if after > 0 {
						g.w.Sleep(after)
					}
					call.Cancel()
					call.Cancel()
				})
				g.wait()
				if n := g.cluster.On(g.w).Count.RqCancelled; n != 1 {
					t.Errorf("%d are counted as cancelled", n)
				}
				g.end()
			})
		}
	}
}

// What a gRPC service does, and what the caller is told.
func TestSimUnary(t *testing.T) {
	status := func(code, text string) []http1.Header {
		return []http1.Header{Field("grpc-status", code), Field("grpc-message", text)}
	}
	for _, c := range []struct {
		name  string
		serve func(st *h2.Stream)
		setup func(g *stage)
		code  int
		text  string
		want  string
	}{
		{name: "ok", serve: func(st *h2.Stream) { reply(st, 200, "\x00\x00\x00\x00\x02hi", status("0", "")...) }, want: "hi"},
		{name: "empty", serve: func(st *h2.Stream) { reply(st, 200, "\x00\x00\x00\x00\x00", status("0", "")...) }},
		{name: "denied", serve: func(st *h2.Stream) { reply(st, 200, "", status("7", "no")...) }, code: 7, text: "no"},
		{name: "in the head", serve: func(st *h2.Stream) {
			st.Head()
			st.Status(200)
			st.Field([]byte("grpc-status"), []byte("5"), 0)
			st.SendHead(true)
		}, code: 5},
		{name: "not gRPC", serve: func(st *h2.Stream) { reply(st, 404, "") }, code: 12},
		{name: "no status", serve: func(st *h2.Stream) { reply(st, 200, "\x00\x00\x00\x00\x00") }, code: 2},
		{name: "compressed", serve: func(st *h2.Stream) { reply(st, 200, "\x01\x00\x00\x00\x00", status("0", "")...) }, code: 13},
		{name: "two", serve: func(st *h2.Stream) {
			reply(st, 200, strings.Repeat("\x00\x00\x00\x00\x00", 2), status("0", "")...)
		}, code: 13},
		{name: "too long", serve: func(st *h2.Stream) { reply(st, 200, strings.Repeat("x", 200), status("0", "")...) }, code: 8},
		{name: "reset", serve: func(st *h2.Stream) { st.Reset(http2.InternalError) }, code: 13},
		{name: "silent", serve: func(st *h2.Stream) { _ = st.Wait(0) }, code: 14},
		{name: "not there", setup: func(g *stage) { g.Refuse(hostAddr, true) }, code: 14},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newStage(t, 1, config.UpstreamHTTP2, hostAddr)
			g.serve2(hostAddr, func(st *h2.Stream, path string) {
				if body, whole := readStream(st); !whole || body != "\x00\x00\x00\x00\x03abc" || path != "/s/M" {
					t.Errorf("the service got %q at %s, whole: %v", body, path, whole)
				}
				c.serve(st)
			})
			if c.setup != nil {
				c.setup(g)
			}
			m := &Method{Authority: []byte("s"), Path: []byte("/s/M"), Timeout: 2 * time.Second, MaxMessage: 100}
			m.Ready()
			g.do(func() {
				call := &Call{}
				got, s := call.Unary(g.w, g.cluster, m, []byte("abc"), nil)
				if s.Code != c.code || string(s.Text) != c.text || string(got) != c.want {
					t.Errorf("got %d %q %q, want %d %q %q", s.Code, s.Text, got, c.code, c.text, c.want)
				}
			})
			g.wait()
			g.end()
		})
	}
}

func TestTimeoutText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Microsecond: "1m", 250 * time.Millisecond: "250m", 100 * time.Hour: "360000S", time.Hour * 24 * 365 * 4: "2102400M",
	} {
		if got := timeoutText(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
