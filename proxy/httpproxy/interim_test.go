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

// interimHost answers POST / with 103, 100, and behind the body with 103, 102, 199 and 200 at once, as far as much
// is to come of each.
type interimHost struct {
	*stage
	expects bool // the request says that its client waits
	early   int  // bytes of body that came before 100
}

func (h *interimHost) Changed(*h2.Conn)   {}
func (h *interimHost) Lost(*h2.Conn)      {}
func (h *interimHost) Expired(c *h2.Conn) { c.Shut(http2.NoError, "") }

func (h *interimHost) Opened(st *h2.Stream, err error) {
	var req http1.Request
	if e := http2.ReadRequest(&req, &st.Fields, st.Last(), true); err != nil || e != nil {
		h.t.Errorf("the host got %v, %v", err, e)
	}
	h.expects = req.Expect100
	say := func(status int, name, value string) {
		if !st.Head() {
			return
		}
		st.Status(status)
		if name != "" {
			st.Field([]byte(name), []byte(value), http1.LookupField([]byte(name)))
		}
		st.SendHead(false)
	}
	h.backend.Go(func() {
		defer st.Close()
		h.backend.Sleep(50 * time.Millisecond)
		h.early = st.Pending()
		say(103, "link", "</a.css>")
		h.backend.Sleep(50 * time.Millisecond)
		say(100, "", "")
		body, _ := readStream(st, 0)
		say(103, "x-late", "1")
		say(102, "", "")
		say(199, "", "")
		if st.Head() {
			st.Status(200)
			st.Field([]byte("x-version"), []byte("2"), http1.FieldOther)
			st.Field([]byte("content-length"), []byte("4"), http1.FieldContentLength)
			st.SendHead(false)
		}
		st.Send([]byte(body), true)
	})
}

// answer1 is the same in HTTP/1.1.
func (h *interimHost) answer1(c *loop.Conn) {
	text := ""
	for !strings.Contains(text, "\r\n\r\n") {
		b, err := c.Next()
		if err != nil {
			return
		}
		text += string(b)
		c.Discard(len(b))
	}
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	h.expects = strings.Contains(strings.ToLower(head), "\r\nexpect: 100-continue")
	h.backend.Sleep(50 * time.Millisecond)
	_, _ = c.Fill()
	body += string(c.Buffered())
	c.Discard(c.Pending())
	h.early = len(body)
	_, _ = c.Write([]byte("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x-hop\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n"))
	h.backend.Sleep(50 * time.Millisecond)
	_, _ = c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	for len(body) < 4 {
		b, err := c.Next()
		if err != nil {
			return
		}
		body += string(b)
		c.Discard(len(b))
	}
	_, _ = c.Write([]byte("HTTP/1.1 103 Early Hints\r\nX-Late: 1\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 What\r\n\r\nHTTP/1.1 200 OK\r\nX-Version: 1\r\nContent-Length: 4\r\n\r\n" + body))
	_, _ = c.Next()
	c.Close()
}

// tell is what a client got of a head: its status and the fields that the host made.
func tellHead(status int, lines []http1.Header) string {
	text := fmt.Sprint(status)
	for _, l := range lines {
		switch name := strings.ToLower(string(l.Name)); name {
		case ":status", "date", "server", "x-envoy-upstream-service-time":
		case "content-length":
			if status < 200 {
				text += " with a length"
			}
		default:
			text += " " + name + "=" + string(l.Value)
		}
	}
	return text
}

// expect1 is a client of HTTP/1.1 that sends its body behind 100.
func (g *stage) expect1() (got []string) {
	c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
	must(g.t, err)
	defer c.Close()
	_, _ = c.Write([]byte("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"))
	lim := http1.DefaultLimits()
	var res http1.Response
	for {
		n, err := res.Parse(c.Buffered(), http1.MethodPost, &lim)
		must(g.t, err)
		if n == 0 {
			if _, err := c.Next(); err != nil {
				return append(got, err.Error())
			}
			continue
		}
		got = append(got, tellHead(res.Status, res.Headers))
		c.Discard(n)
		if res.Status == 100 {
			_, _ = c.Write([]byte("body"))
		}
		if res.Status >= 200 {
			for c.Pending() < 4 {
				if _, err := c.Next(); err != nil {
					return append(got, err.Error())
				}
			}
			return append(got, string(c.Buffered()))
		}
	}
}

// expect2 is one of HTTP/2.
func (g *stage) expect2() (got []string) {
	c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
	must(g.t, err)
	o := config.H2Defaults()
	s := &h2Scenario{scenario: &scenario{stage: g}}
	h := h2.Connect(c, h2.NewOptions(&o, http1.DefaultLimits(), 64<<10, time.Second, time.Minute), &guest{s: s}, &s.count, &s.spare[1])
	st, err := h.Open()
	must(g.t, err)
	defer func() {
		st.Close()
		h.Shut(http2.NoError, "")
		c.Close()
	}()
	st.Interims = true
	st.Head()
	st.Request([]byte("POST"), []byte("http"), []byte("a"), []byte("/"), nil)
	st.Field([]byte("expect"), []byte("100-continue"), http1.FieldExpect)
	st.Field([]byte("content-length"), []byte("4"), http1.FieldContentLength)
	st.SendHead(false)
	var res http1.Response
	for {
		for f := st.NextInterim(); f != nil; f = st.NextInterim() {
			must(g.t, http2.ReadResponse(&res, f, http1.MethodPost, false))
			got = append(got, tellHead(res.Status, res.Headers))
			if res.Status == 100 {
				st.Send([]byte("body"), true)
			}
		}
		if st.Answered() {
			break
		}
		if err := st.Wait(0); err != nil {
			return append(got, err.Error())
		}
	}
	must(g.t, http2.ReadResponse(&res, &st.Fields, http1.MethodPost, false))
	got = append(got, tellHead(res.Status, res.Headers))
	body, _ := readStream(st, 0)
	return append(got, body)
}

// Every version to every other: with proxy_100_continue the host's 100, 102, 103 go on as they come, in their order;
// without it the client is told at once to go on, and hears of nothing else but the answer.
func TestSimInterimAnswers(t *testing.T) {
	for seed := range loop.Seeds(t, 160) {
		down2, up2, proxied := seed&1 == 1, seed&2 == 2, seed&4 == 4
		cfg := testHTTP(prefix("/", toCluster("c")))
		cfg.GenerateRequestID, cfg.Proxy100Continue = false, proxied
		k := testCluster("c", backendAddr)
		version := "1"
		if up2 {
			k.HTTP.Protocol, version = config.UpstreamHTTP2, "2"
		}
		g := newStage(t, seed, cfg, k)
		if seed%3 != 1 { // one that holds the body has to have it before the host is asked
			g.clusters["c"].Filter(passesBy(seed))
		}
		g.Weather()
		host := &interimHost{stage: g}
		if up2 {
			s := &h2Scenario{scenario: &scenario{stage: g}}
			o := config.H2Defaults()
			l, err := g.backend.Listen(backendAddr, loop.ListenOptions{}, func(c *loop.Conn) {
				h2.Serve(c, h2.NewOptions(&o, http1.DefaultLimits(), 64<<10, time.Second, time.Minute), host, &s.count, &s.spare[0])
			})
			must(t, err)
			g.closing = append(g.closing, l.Close)
		} else {
			g.serve(backendAddr, host.answer1)
		}
		var got []string
		g.play(func() {
			if down2 {
				got = g.expect2()
			} else {
				got = g.expect1()
			}
		})
		want := "100, 200 x-version=" + version + ", body"
		if proxied {
			want = "103 link=</a.css>, 100, 103 x-late=1, 102, 200 x-version=" + version + ", body"
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("the client got %q, want %q", text, want)
		}
		if host.expects != proxied || proxied && host.early > 0 {
			t.Errorf("the host: expects %v, %d bytes before 100", host.expects, host.early)
		}
		rq1xx := g.room.Counters(g.proxy).Rq[1]
		if want := map[bool]uint64{false: 1, true: 4}[proxied]; rq1xx != want {
			t.Errorf("downstream_rq_1xx is %d", rq1xx)
		}
		g.end()
		if t.Failed() {
			t.Fatalf("seed %d: down 2: %v, up 2: %v, proxied: %v", seed, down2, up2, proxied)
		}
	}
}

// A host that has nothing but interim answers is cut off, whether they go on or not; and one that fails behind some is
// asked no second time.
func TestSimInterimAnswersEnd(t *testing.T) {
	for _, c := range []struct {
		name    string
		proxied bool
		heads   int
		end     string
		client  int // heads of 1xx that the client gets
		status  string
	}{
		{"eleven dropped", false, 11, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0, "502"},
		{"ten dropped", false, 10, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0, "200"},
		{"a hundred and one", true, 101, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 101, "502"},
		{"a hundred", true, 100, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 100, "200"},
		{"lost behind one", true, 1, "", 1, "503"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := testHTTP(prefix("/", toCluster("c")))
			cfg.Proxy100Continue = c.proxied
			g := newStage(t, 1, cfg)
			asked := 0
			g.serve(backendAddr, func(b *loop.Conn) {
				if _, err := b.Next(); err != nil {
					return
				}
				asked++
				b.Discard(b.Pending())
				_, _ = b.Write([]byte(strings.Repeat("HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n", c.heads) + c.end))
				_ = b.Drain(0)
				b.Close()
			})
			got, _ := g.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			g.end()
			if n := strings.Count(got, "HTTP/1.1 103 "); n != c.client || !strings.Contains(got, "HTTP/1.1 "+c.status) || asked != 1 {
				t.Errorf("%d interim heads, asked %d times, then %q", n, asked, got[strings.LastIndex(got, "HTTP/1.1"):])
			}
		})
	}
}
