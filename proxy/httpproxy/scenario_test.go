package httpproxy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Whole lives: clients that keep connections and pipeline, hosts that fail in
// every way, in all weathers. Every request is answered once, with its own
// answer or an explicit error; what is cut never looks whole; a POST is carried
// out at most once; nothing is left behind.

// play of one seed.
type scenario struct {
	*stage
	rng       *rand.Rand
	mild      bool           // hosts do no harm: every answer must be 200
	runs      map[string]int // how often a host carried out a request
	answered  int
	failed    int
	cut       int
	remaining int                                     // clients at work
	sizes     int                                     // of bodies: so many of them
	asked     func(...config.Address) *config.Cluster // that is asked for
}

// want is the answer's body: the id again and again.
func want(id string, size int) string {
	return strings.Repeat(id+".", size/(len(id)+1)+1)[:size]
}

// host serves a connection: the path says id and size of the answer.
func (s *scenario) host(c *loop.Conn) {
	for {
		line, data, ok := readRequest(c)
		if !ok {
			c.Close()
			return
		}
		method, path, _ := strings.Cut(line, " ")
		part := strings.Split(path, "/")
		id := part[1]
		size, _ := strconv.Atoi(part[2])
		if bodySize, _ := strconv.Atoi(part[3]); data != want(id, bodySize) {
			s.t.Errorf("%s: the host got %d bytes of body, want %d of its own", id, len(data), bodySize)
		}
		s.runs[method+" "+id]++
		if !s.reply(c, id, size) {
			return
		}
	}
}

// reply answers, or does not, as the seed says; false when the connection is
// over.
func (s *scenario) reply(c *loop.Conn, id string, size int) bool {
	text, closes := s.wording(want(id, size))
	fault := s.rng.IntN(20)
	if s.mild && (fault < 6 || fault == 10) {
		fault = 99
	}
	switch fault {
	case 0: // cut somewhere, the very beginning and the last byte included
		_, _ = c.Write([]byte(text[:s.rng.IntN(len(text))]))
		_ = c.Drain(0)
		if s.rng.IntN(2) == 0 {
			c.Reset()
		} else {
			c.Close()
		}
		return false
	case 1: // what nobody asked for, at once or later. It is no whole answer:
		// such a one, under way when the next request is, cannot be told from its own.
		extra := "SURPLUS"
		if closes {
			break
		}
		if s.rng.IntN(2) == 0 {
			_, _ = c.Write([]byte(text + extra))
		} else {
			_, _ = c.Write([]byte(text))
			s.backend.Sleep(time.Duration(s.rng.IntN(2000)) * time.Microsecond)
			_, _ = c.Write([]byte(extra))
		}
		_ = c.Drain(0)
		return true
	case 2: // garbage
		_, _ = c.Write([]byte("SSH-2.0-x\r\n"))
		_ = c.Drain(0)
		return true
	case 3:
		s.backend.Sleep(time.Duration(s.rng.IntN(20)) * time.Second)
	case 7, 8:
		s.backend.Sleep(time.Duration(s.rng.IntN(50)) * time.Millisecond)
	case 9: // piece by piece
		for len(text) > 0 {
			n := min(1+s.rng.IntN(400), len(text))
			_, _ = c.Write([]byte(text[:n]))
			text = text[n:]
			s.backend.Sleep(time.Duration(s.rng.IntN(2000)) * time.Microsecond)
		}
	}
	_, _ = c.Write([]byte(text))
	_ = c.Drain(0)
	if closes || fault == 10 {
		c.Close()
		return false
	}
	return true
}

// wording frames an answer in one of the ways that there are.
func (s *scenario) wording(data string) (text string, closes bool) {
	interim := ""
	if s.rng.IntN(8) == 0 {
		interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
	}
	switch s.rng.IntN(4) {
	case 0:
		b := []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for len(data) > 0 {
			n := min(1+s.rng.IntN(3000), len(data))
			b = append(http1.AppendChunkHeader(b, n), data[:n]...)
			b = http1.AppendChunkEnd(b)
			data = data[n:]
		}
		return interim + string(http1.AppendLastChunk(b, nil)), false
	case 1:
		if !s.mild && s.rng.IntN(2) == 0 {
			return interim + "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + strconv.Itoa(len(data)) + "\r\n\r\n" + data, true
		}
		return interim + "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(data) + "0\r\n\r\n", true
	}
	return interim + "HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(data)) + "\r\n\r\n" + data, false
}

func chunk(data string) string {
	if data == "" {
		return ""
	}
	return fmt.Sprintf("%x\r\n%s\r\n", len(data), data)
}

// order is one request of a client.
type order struct {
	method, id string
	size       int // of the answer
	text       string
}

func (s *scenario) order(id string) order {
	sizes := []int{0, 1, 100, 1500, 20_000, 200_000}[:s.sizes]
	o := order{method: "GET", id: id, size: sizes[s.rng.IntN(len(sizes))]}
	bodySize := 0
	if s.rng.IntN(3) == 0 {
		o.method = []string{"POST", "PUT"}[s.rng.IntN(2)]
		bodySize = sizes[s.rng.IntN(len(sizes))]
	}
	head := fmt.Sprintf("%s /%s/%d/%d HTTP/1.1\r\nHost: a\r\n", o.method, id, o.size, bodySize)
	data := want(id, bodySize)
	switch {
	case bodySize == 0:
		o.text = head + "\r\n"
	case s.rng.IntN(2) == 0:
		cut := s.rng.IntN(bodySize)
		o.text = head + "Transfer-Encoding: chunked\r\n\r\n" + chunk(data[:cut]) + chunk(data[cut:]) + "0\r\n\r\n"
	default:
		if s.rng.IntN(4) == 0 {
			head += "Expect: 100-continue\r\n"
		}
		o.text = head + "Content-Length: " + strconv.Itoa(bodySize) + "\r\n\r\n" + data
	}
	return o
}

// visit is a client's life: n requests over as many connections as it takes.
func (s *scenario) visit(name string, n int) {
	var c *loop.Conn
	for i := 0; i < n; {
		if c == nil {
			var err error
			if c, err = s.client.Dial(s.addr, 0, config.Keepalive{}); err != nil {
				s.t.Errorf("%s: %v", name, err)
				return
			}
		}
		depth := min(1+s.rng.IntN(4), n-i)
		var orders []order
		for k := range depth {
			o := s.order(name + "-" + strconv.Itoa(i+k))
			orders = append(orders, o)
			_, _ = c.Write([]byte(o.text))
		}
		i += depth
		for _, o := range orders {
			if !s.check(c, o) {
				c.Close()
				c = nil
				break
			}
		}
		if s.rng.IntN(5) == 0 {
			s.client.Sleep(time.Duration(s.rng.IntN(100)) * time.Millisecond)
		}
	}
	if c != nil {
		c.Close()
	}
}

// check hears one answer; false when the connection is over.
func (s *scenario) check(c *loop.Conn, o order) bool {
	status, data, whole := hearAnswer(c, o.method)
	switch {
	case !whole:
		s.cut++
		if !strings.HasPrefix(want(o.id, o.size), data) && status == "200" {
			s.t.Errorf("%s: what was cut is not its own", o.id)
		}
		if s.mild && status != "none" {
			s.t.Errorf("%s: cut after %d of %d bytes (%s) though nothing failed", o.id, len(data), o.size, status)
		}
		return false
	case status == "200":
		s.answered++
		if data != want(o.id, o.size) {
			s.t.Errorf("%s: got %d bytes %.40q…, want %d", o.id, len(data), data, o.size)
		}
		if s.runs[o.method+" "+o.id] == 0 {
			s.t.Errorf("%s: answered though no host has carried it out", o.id)
		}
	case status == "502" || status == "503" || status == "504" || status == "507":
		s.failed++
		if s.mild {
			s.t.Errorf("%s: %s %q though nothing failed", o.id, status, data)
		}
	default:
		s.t.Errorf("%s: got %s", o.id, status)
	}
	return true
}

func (s *scenario) trouble(hosts []config.Address) {
	for range s.rng.IntN(5) {
		a := hosts[s.rng.IntN(len(hosts))]
		begin := time.Duration(s.rng.IntN(3000)) * time.Millisecond
		end := begin + time.Duration(s.rng.IntN(8000))*time.Millisecond
		switch s.rng.IntN(5) {
		case 4: // the configuration says that a host is gone, and back
			k, rest := s.clusters["c"], slices.DeleteFunc(slices.Clone(hosts), func(h config.Address) bool { return h == a })
			s.At(begin, func() { must(s.t, k.Update(s.asked(rest...))) })
			s.At(end, func() { must(s.t, k.Update(s.asked(hosts...))) })
		case 0:
			s.At(begin, func() { s.ResetAll(a) })
		case 1:
			s.At(begin, func() { s.Blackhole(a, true) })
			s.At(end, func() { s.Blackhole(a, false) })
		case 2:
			s.At(begin, func() { s.Refuse(a, true); s.ResetAll(a) })
			s.At(end, func() { s.Refuse(a, false) })
		case 3:
			s.At(begin, func() { s.Stall(a, true) })
			s.At(end, func() { s.Stall(a, false) })
		}
	}
}

func TestSimWholeLives(t *testing.T) {
	answered, failed, cut := 0, 0, 0
	for seed := range loop.Seeds(t, 300) {
		cfg := testHTTP(prefix("/", toCluster("c")))
		hosts := []config.Address{at("10.0.0.2:80"), at("10.0.0.3:80")}
		g := newStage(t, seed, cfg, testCluster("c", hosts...))
		s := &scenario{stage: g, rng: g.Rand(), runs: map[string]int{}}
		g.clusters["c"].Filter(passesBy(seed))
		s.asked = func(of ...config.Address) *config.Cluster { return testCluster("c", of...) }
		s.mild = seed%4 == 0
		s.sizes = 6
		if l := g.Weather(); l.MaxSegment > 0 && l.MaxSegment < 100 || l.Buffer > 0 && l.Buffer < 1000 {
			s.sizes = 4 // a byte at a time takes its time
		}
		for _, a := range hosts {
			g.serve(a, s.host)
		}
		if !s.mild {
			s.trouble(hosts)
		}
		s.remaining = 1 + s.rng.IntN(5)
		for i := range s.remaining {
			g.client.Go(func() {
				defer func() { s.remaining-- }()
				s.visit("c"+strconv.Itoa(i), 1+s.rng.IntN(12))
			})
		}
		must(t, g.Run(func() bool { return s.remaining == 0 }, time.Hour))
		for what, n := range s.runs {
			if n > 1 && strings.HasPrefix(what, "POST ") {
				t.Errorf("%s was carried out %d times", what, n)
			}
		}
		must(t, g.RunFor(30*time.Second))
		g.SetLink(config.Address{}, loop.Link{})
		g.end()
		answered, failed, cut = answered+s.answered, failed+s.failed, cut+s.cut
	}
	t.Logf("%d answered, %d explicit errors, %d connections cut", answered, failed, cut)
	if answered == 0 || failed == 0 {
		t.Error("the scenario shows nothing")
	}
}
