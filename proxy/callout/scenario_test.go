package callout

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
)

// Whole lives: calls by the dozen to hosts that fail in every way, with deadlines,
// breakers that are full, callers that go, hosts that leave. What is answered is
// its own answer; every call ends, in its time; nothing is left behind.

type scenario struct {
	*stage
	rng  *rand.Rand
	done map[outcome.Outcome]int
}

// want is the answer to a path: it says how long it is.
func want(path string) string {
	n, _ := strconv.Atoi(path[strings.LastIndexByte(path, '/')+1:])
	return strings.Repeat(path+".", n/(len(path)+1)+1)[:n]
}

func (s *scenario) host1(c *loop.Conn, path, body string) bool {
	if body != "" && body != want(path) {
		s.t.Errorf("the host got another's body with %s", path)
	}
	text := string(ok1(want(path)))
	switch s.rng.IntN(12) {
	case 0:
		_, _ = c.Write([]byte(text[:s.rng.IntN(len(text))]))
		_ = c.Drain(0)
		return false
	case 1:
		c.Reset()
		return false
	case 2:
		s.host.Sleep(time.Duration(s.rng.IntN(5)) * time.Second)
	case 3:
		s.host.Sleep(time.Duration(s.rng.IntN(50)) * time.Millisecond)
	case 4:
		_, _ = c.Write([]byte("garbage\r\n\r\n"))
		return false
	}
	_, _ = c.Write([]byte(text))
	_ = c.Drain(0)
	return s.rng.IntN(6) > 0
}

func (s *scenario) host2(st *h2.Stream, path string) {
	body, whole := readStream(st)
	if whole && body != "" && body != want(path) {
		s.t.Errorf("the host got another's body with %s", path)
	}
	switch s.rng.IntN(12) {
	case 0:
		st.Reset(http2.RefusedStream)
		return
	case 1:
		st.Reset(http2.InternalError)
		return
	case 2:
		s.host.Sleep(time.Duration(s.rng.IntN(5)) * time.Second)
	case 3:
		st.Conn().Drain()
	case 4:
		st.Conn().Net().Reset()
		return
	}
	reply(st, 200, want(path))
}

func (s *scenario) call(id int) {
	call, limit := &Call{}, time.Duration(0)
	for range 1 + s.rng.IntN(5) {
		size := []int{0, 1, 100, 5000, 70_000}[s.rng.IntN(5)]
		path := "/" + strconv.Itoa(id) + "/" + strconv.Itoa(size)
		r := get(path)
		if s.rng.IntN(2) == 0 {
			r.Method, r.Body = []byte("POST"), []byte(want(path))
		}
		r.MaxBody = []int{1000, 1 << 20}[s.rng.IntN(2)]
		if limit = 0; s.rng.IntN(2) == 0 {
			limit = time.Duration(1+s.rng.IntN(2000)) * time.Millisecond
		}
		r.Timeout = limit
		until := s.Now() + time.Duration(s.rng.IntN(10))*time.Second
		if s.rng.IntN(4) == 0 {
			r.Gone = func() bool { return s.Now() > until }
		}
		if s.rng.IntN(6) == 0 {
			s.w.Go(func() {
				s.w.Sleep(time.Duration(s.rng.IntN(100)) * time.Millisecond)
				call.Cancel()
			})
		}
		began := s.Now()
		a, o := call.Ask(s.w, s.cluster, r)
		s.done[o]++
		if o == outcome.OK && (string(a.Body) != want(path) || a.Status != 200) {
			s.t.Errorf("%s: %d with %d bytes %.30q…", path, a.Status, len(a.Body), a.Body)
		}
		if took := s.Now() - began; limit > 0 && took > limit+20*time.Millisecond {
			s.t.Errorf("%s: took %v, its limit is %v", path, took, limit)
		}
		if s.rng.IntN(3) == 0 {
			s.w.Sleep(time.Duration(s.rng.IntN(500)) * time.Millisecond)
		}
	}
}

func (s *scenario) trouble(p config.UpstreamProtocol, hosts []config.Address) {
	for range s.rng.IntN(4) {
		a := hosts[s.rng.IntN(len(hosts))]
		begin := time.Duration(s.rng.IntN(2000)) * time.Millisecond
		end := begin + time.Duration(s.rng.IntN(4000))*time.Millisecond
		switch s.rng.IntN(5) {
		case 0:
			s.At(begin, func() { s.ResetAll(a) })
		case 1:
			s.At(begin, func() { s.Blackhole(a, true) })
			s.At(end, func() { s.Blackhole(a, false) })
		case 2:
			s.At(begin, func() { s.Refuse(a, true); s.ResetAll(a) })
			s.At(end, func() { s.Refuse(a, false) })
		case 3:
			rest := slices.DeleteFunc(slices.Clone(hosts), func(h config.Address) bool { return h == a })
			s.At(begin, func() { must(s.t, s.cluster.Update(testCluster(p, rest...))) })
			s.At(end, func() { must(s.t, s.cluster.Update(testCluster(p, hosts...))) })
		case 4:
			s.At(begin, func() { s.cluster.Breakers[0].Requests.SetLimit(uint32(s.rng.IntN(4))) })
			s.At(end, func() { s.cluster.Breakers[0].Requests.SetLimit(1024) })
		}
	}
}

func TestSimWholeLives(t *testing.T) {
	done := map[outcome.Outcome]int{}
	for seed := range loop.Seeds(t, 300) {
		p := []config.UpstreamProtocol{config.UpstreamHTTP1, config.UpstreamHTTP2}[seed%2]
		hosts := []config.Address{at("10.0.0.2:80"), at("10.0.0.3:80")}
		s := &scenario{stage: newStage(t, seed, p, hosts...), done: done}
		s.rng = s.Rand()
		for _, a := range hosts {
			if p == config.UpstreamHTTP1 {
				s.serve1(a, s.host1)
			} else {
				s.serve2(a, s.host2)
			}
		}
		s.trouble(p, hosts)
		for i := range 1 + s.rng.IntN(8) {
			s.do(func() { s.call(i) })
		}
		s.wait()
		must(t, s.RunFor(time.Minute))
		s.SetLink(config.Address{}, loop.Link{})
		s.end()
	}
	t.Logf("how they ended: %v", done)
	for _, o := range []outcome.Outcome{outcome.OK, outcome.Timeout, outcome.DownstreamGone, outcome.ConnectionLost, outcome.Overflow} {
		if done[o] == 0 {
			t.Errorf("no call ended with %v: the scenario shows too little", o)
		}
	}
}
