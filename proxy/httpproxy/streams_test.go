package httpproxy

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Whole lives over HTTP/2, on either side or on both: many streams at a time,
// storms of resets, windows that stall, GOAWAY at any point, connections that
// break anywhere. The invariants are those of TestSimWholeLives.

// h2Scenario adds to a scenario what speaks HTTP/2.
type h2Scenario struct {
	*scenario
	hostOptions   *h2.Options
	clientOptions *h2.Options
	count         h2.Counters
	spare         [2]h2.Spare // of the backend, of the client
	cancelled     int
}

// windows gives options with windows of any size.
func (s *h2Scenario) windows() *h2.Options {
	o := config.H2Defaults()
	o.StreamWindow = []uint32{1, 100, 5000, 65535, 1 << 20}[s.rng.IntN(5)]
	if s.sizes == 6 && o.StreamWindow < 5000 {
		o.StreamWindow = 5000
	}
	o.ConnectionWindow = []uint32{65535, 100_000, 1 << 22}[s.rng.IntN(3)]
	o.HPACKTable = []uint32{0, 100, 4096}[s.rng.IntN(3)]
	o.MaxStreams = []uint32{1, 3, 100}[s.rng.IntN(3)]
	return h2.NewOptions(&o, http1.DefaultLimits(), 64<<10, time.Second, time.Minute)
}

// hostOwner is a host's side of a connection.
type hostOwner struct{ *h2Scenario }

func (h hostOwner) Changed(*h2.Conn) {}
func (h hostOwner) Lost(*h2.Conn)    {}
func (h hostOwner) Expired(c *h2.Conn) {
	c.Shut(http2.NoError, "")
}

func (h hostOwner) Opened(st *h2.Stream, err error) {
	if err != nil {
		h.t.Errorf("the host got a head that it cannot take: %v", err)
	}
	h.backend.Go(func() { h.answerStream(st) })
}

// readStream reads a stream to its end; false if it broke.
func readStream(st *h2.Stream, d time.Duration) (string, bool) {
	var b strings.Builder
	for {
		b.Write(st.Buffered())
		st.Discard(st.Pending())
		if st.Last() {
			return b.String(), true
		}
		if err := st.Wait(d); err != nil {
			return b.String(), false
		}
	}
}

// answerStream is a host that serves a request, or does not, as the seed says.
func (s *h2Scenario) answerStream(st *h2.Stream) {
	defer st.Close()
	var req http1.Request
	if err := http2.ReadRequest(&req, &st.Fields, st.Last() && st.Pending() == 0, false); err != nil {
		s.t.Errorf("the host got a malformed request: %v", err)
		return
	}
	part := strings.Split(string(req.Path), "/")
	id, method := part[1], string(req.Method)
	size, _ := strconv.Atoi(part[2])
	bodySize, _ := strconv.Atoi(part[3])
	fault := s.rng.IntN(24)
	if s.mild && fault < 8 {
		fault = 99
	}
	switch fault {
	case 0: // nothing was done: it may go elsewhere
		st.Reset(http2.RefusedStream)
		return
	case 1:
		st.Conn().Drain()
	case 2:
		st.Conn().Net().Reset()
		return
	case 3:
		st.Conn().Shut(http2.InternalError, "")
		return
	}
	data, whole := readStream(st, 0)
	if !whole {
		return // the proxy has given up, or the connection is gone
	}
	if data != want(id, bodySize) {
		s.t.Errorf("%s: the host got %d bytes of body, want %d of its own", id, len(data), bodySize)
	}
	s.runs[method+" "+id]++
	s.speak(st, fault, want(id, size))
}

// speak answers.
func (s *h2Scenario) speak(st *h2.Stream, fault int, data string) {
	switch fault {
	case 4:
		st.Reset(http2.InternalError)
		return
	case 5:
		s.backend.Sleep(time.Duration(s.rng.IntN(20)) * time.Second)
	case 8, 9:
		s.backend.Sleep(time.Duration(s.rng.IntN(50)) * time.Millisecond)
	case 10:
		if st.Head() {
			st.Status(103)
			st.SendHead(false)
		}
	}
	if !st.Head() {
		return
	}
	st.Status(200)
	if s.rng.IntN(2) == 0 {
		st.Field([]byte("Content-Length"), []byte(strconv.Itoa(len(data))), http1.FieldContentLength)
	}
	trailers := s.rng.IntN(4) == 0
	if data == "" && !trailers {
		st.SendHead(true)
		return
	}
	st.SendHead(false)
	cut := len(data)
	if fault == 6 || fault == 7 {
		cut = s.rng.IntN(len(data) + 1)
	}
	piece := 1 << 20
	if fault == 11 {
		piece = 1 + s.rng.IntN(4000)
	}
	for at := 0; at < cut; {
		n := min(piece, cut-at)
		st.Send([]byte(data[at:at+n]), at+n == len(data) && !trailers)
		at += n
		if fault == 11 {
			s.backend.Sleep(time.Duration(s.rng.IntN(2000)) * time.Microsecond)
		}
		_ = st.Drain(64<<10, time.Minute)
	}
	switch {
	case fault == 6:
		st.Reset(http2.InternalError)
	case fault == 7:
		st.Conn().Net().Reset()
	case trailers:
		st.SendTrailers([]http1.Header{{Name: []byte("x-sum"), Value: []byte(strconv.Itoa(len(data)))}})
	default:
		if !st.Sent() {
			st.Send(nil, true)
		}
	}
}

// guest is a client's side of a connection.
type guest struct {
	s    *h2Scenario
	room loop.Waiter
	lost bool
}

func (g *guest) Opened(st *h2.Stream, _ error) { st.Close() }
func (g *guest) Changed(*h2.Conn)              { g.room.Wake(g.s.client) }
func (g *guest) Expired(*h2.Conn)              {}
func (g *guest) Lost(*h2.Conn)                 { g.lost = true; g.room.Wake(g.s.client) }

// stay is the life of a client that speaks HTTP/2: n requests over as many
// connections as it takes.
func (s *h2Scenario) stay(name string, n int) {
	for i := 0; i < n; {
		c, err := s.client.Dial(s.addr, 0, config.Keepalive{})
		if err != nil {
			s.t.Errorf("%s: %v", name, err)
			return
		}
		g := &guest{s: s}
		h := h2.Connect(c, s.clientOptions, g, &s.count, &s.spare[1])
		left := 0
		for ; i < n && !h.Leaving(); i++ {
			for !h.Leaving() && !h.Room() {
				g.room.Wait(s.client)
			}
			st, err := h.Open()
			if err != nil {
				break
			}
			left++
			o := s.order(name + "-" + strconv.Itoa(i))
			s.client.Go(func() {
				s.call(st, o)
				left--
				g.room.Wake(s.client)
			})
			if s.rng.IntN(3) == 0 {
				s.client.Sleep(time.Duration(s.rng.IntN(30)) * time.Millisecond)
			}
		}
		for left > 0 {
			g.room.Wait(s.client)
		}
		h.Shut(http2.NoError, "")
		c.Close()
	}
}

// call asks and checks one answer.
func (s *h2Scenario) call(st *h2.Stream, o order) {
	defer st.Close()
	if !st.Head() {
		return
	}
	bodySize := strings.Split(strings.Fields(o.text)[1], "/")[3]
	size, _ := strconv.Atoi(bodySize)
	st.Request([]byte(o.method), []byte("http"), []byte("a"), []byte(strings.Fields(o.text)[1]), nil)
	if size > 0 && s.rng.IntN(2) == 0 {
		st.Field([]byte("content-length"), []byte(bodySize), http1.FieldContentLength)
	}
	st.SendHead(size == 0)
	if size > 0 {
		body := []byte(want(o.id, size))
		cut := s.rng.IntN(size)
		st.Send(body[:cut], false)
		if s.rng.IntN(3) == 0 {
			s.client.Sleep(time.Duration(s.rng.IntN(2000)) * time.Microsecond)
		}
		st.Send(body[cut:], true)
	}
	if !s.mild && s.rng.IntN(6) == 0 { // storms of resets
		s.client.Sleep(time.Duration(s.rng.IntN(3000)) * time.Microsecond)
		st.Reset(http2.Cancel)
		s.cancelled++
		return
	}
	if s.rng.IntN(8) == 0 { // the window stalls
		s.client.Sleep(time.Duration(s.rng.IntN(5)) * time.Second)
	}
	s.hearStream(st, o)
}

func (s *h2Scenario) hearStream(st *h2.Stream, o order) {
	for !st.Answered() {
		if st.Wait(0) != nil {
			s.broken(st, o, "")
			return
		}
	}
	var res http1.Response
	if err := http2.ReadResponse(&res, &st.Fields, http1.LookupMethod([]byte(o.method)), st.Last() && st.Pending() == 0); err != nil {
		s.t.Errorf("%s: %v", o.id, err)
		return
	}
	data, whole := readStream(st, 0)
	switch {
	case !whole && res.Status == 200:
		s.broken(st, o, data)
	case !whole:
		s.broken(st, o, "")
	case res.Status == 200:
		s.answered++
		if data != want(o.id, o.size) {
			s.t.Errorf("%s: got %d bytes %.40q…, want %d", o.id, len(data), data, o.size)
		}
		if s.runs[o.method+" "+o.id] == 0 {
			s.t.Errorf("%s: answered though no host has carried it out", o.id)
		}
	case res.Status >= 502 && res.Status <= 504, res.Status == 507:
		s.failed++
		if s.mild {
			s.t.Errorf("%s: %d %q though nothing failed", o.id, res.Status, data)
		}
	default:
		s.t.Errorf("%s: got %d", o.id, res.Status)
	}
}

func (s *h2Scenario) broken(st *h2.Stream, o order, data string) {
	s.cut++
	if !strings.HasPrefix(want(o.id, o.size), data) {
		s.t.Errorf("%s: what was cut is not its own", o.id)
	}
	if s.mild {
		s.t.Errorf("%s: cut after %d of %d bytes (%v) though nothing failed", o.id, len(data), o.size, st.Err())
	}
}

func TestSimStreams(t *testing.T) {
	answered, failed, cut, cancelled := 0, 0, 0, 0
	for seed := range loop.Seeds(t, 300) {
		forward := toCluster("c")
		if seed%4 == 0 { // a window of a few bytes over a slow link takes its time
			forward.Timeout = 10 * time.Minute
		}
		cfg := testHTTP(prefix("/", forward))
		hosts := []config.Address{at("10.0.0.2:80"), at("10.0.0.3:80")}
		hostH2, clientH2 := seed%3 != 1, seed%3 != 2
		cluster := func(of ...config.Address) *config.Cluster {
			c := testCluster("c", of...)
			if hostH2 {
				c.HTTP.Protocol = config.UpstreamHTTP2
			}
			return c
		}
		g := newStage(t, seed, cfg, cluster(hosts...))
		g.clusters["c"].Filter(passesBy(seed))
		s := &h2Scenario{scenario: &scenario{stage: g, rng: g.Rand(), runs: map[string]int{}, asked: cluster}}
		s.mild = seed%4 == 0
		s.sizes = 6
		if l := g.Weather(); l.MaxSegment > 0 && l.MaxSegment < 100 || l.Buffer > 0 && l.Buffer < 1000 {
			s.sizes = 4 // a byte at a time takes its time
		}
		s.hostOptions, s.clientOptions = s.windows(), s.windows()
		for _, a := range hosts {
			if hostH2 {
				g.serveStreams(a, s)
			} else {
				g.serve(a, s.host)
			}
		}
		if !s.mild {
			s.trouble(hosts)
		}
		s.remaining = 1 + s.rng.IntN(4)
		for i := range s.remaining {
			g.client.Go(func() {
				defer func() { s.remaining-- }()
				name := "c" + strconv.Itoa(i)
				if clientH2 {
					s.stay(name, 1+s.rng.IntN(20))
				} else {
					s.visit(name, 1+s.rng.IntN(12))
				}
			})
		}
		if err := g.Run(func() bool { return s.remaining == 0 }, time.Hour); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for what, n := range s.runs {
			if n > 1 && strings.HasPrefix(what, "POST ") {
				t.Errorf("%s was carried out %d times", what, n)
			}
		}
		must(t, g.RunFor(70*time.Second))
		g.SetLink(config.Address{}, loop.Link{})
		g.end()
		answered, failed, cut, cancelled = answered+s.answered, failed+s.failed, cut+s.cut, cancelled+s.cancelled
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d answered, %d explicit errors, %d cut, %d cancelled", answered, failed, cut, cancelled)
	if answered == 0 || failed == 0 || cancelled == 0 {
		t.Error("the scenario shows nothing")
	}
}

// serveStreams lets a host speak HTTP/2.
func (g *stage) serveStreams(a config.Address, s *h2Scenario) {
	l, err := g.backend.Listen(a, loop.ListenOptions{}, func(c *loop.Conn) {
		h2.Serve(c, s.hostOptions, hostOwner{s}, &s.count, &s.spare[0])
	})
	must(g.t, err)
	g.closing = append(g.closing, l.Close)
}
