package httpproxy

import (
	"iter"
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

// Requests that are sent again, to hosts that fail in every way and in all
// weathers: no more attempts than the policy has, never one after an answer has
// begun to go on, never more under way than the cluster allows, and every host gets
// the whole of the body, its own.

// attempts are what the hosts saw of one request.
type attempts struct {
	last int // the highest number that a host was told
	seen int
}

// resilience is a scenario with a policy.
type resilience struct {
	*scenario
	policy *config.Retry
	hedge  *config.Hedge
	of     map[string]*attempts
	passed map[string]int // x-envoy-attempt-count of the answer, by request
	retry  int            // attempts that were not the first
}

// policyOf draws a policy.
func policyOf(r *rand.Rand) *config.Retry {
	p := &config.Retry{
		Num: uint32(r.IntN(5)), Base: time.Duration(1+r.IntN(50)) * time.Millisecond,
		Hosts: config.RetryHosts{Attempts: uint32(1 + r.IntN(4)), Previous: r.IntN(2) == 0},
		Codes: []uint32{418},
	}
	p.Max = p.Base * time.Duration(1+r.IntN(10))
	all := []config.RetryOn{
		config.Retry5xx, config.RetryGatewayError, config.RetryReset, config.RetryResetBeforeRequest,
		config.RetryConnectFailure, config.RetryRefusedStream, config.RetryStatusCodes,
	}
	for _, on := range all {
		if r.IntN(2) == 0 {
			p.On |= on
		}
	}
	if r.IntN(3) == 0 {
		p.PerTry = time.Duration(1+r.IntN(3000)) * time.Millisecond
	}
	if r.IntN(4) == 0 {
		p.PerTryIdle = time.Duration(1+r.IntN(3000)) * time.Millisecond
	}
	return p
}

// hedgeOf gives some seeds a hedge policy.
func hedgeOf(seed uint64) *config.Hedge {
	switch {
	case seed%4 == 1:
		return &config.Hedge{OnPerTryTimeout: true, Initial: 1}
	case seed%8 == 3:
		return &config.Hedge{Initial: 2, Chance: config.Fraction{Num: 1, Den: 2}}
	case seed%8 == 7:
		return &config.Hedge{OnPerTryTimeout: true, Initial: 1, Chance: config.Fraction{Num: 3, Den: 4}}
	}
	return nil
}

// readAttempt reads a request and the number of its attempt. began says that its
// head has come, whole that its body has.
func readAttempt(c *loop.Conn) (line, data string, number int, began, whole bool) {
	var r http1.Request
	lim := http1.DefaultLimits()
	for {
		n, err := r.Parse(c.Buffered(), &lim)
		if err != nil {
			return "", "", 0, false, false
		}
		if n > 0 {
			line = string(r.Method) + " " + string(r.Path)
			f := fields{&r.Headers}
			if i := f.find("x-envoy-attempt-count"); i >= 0 {
				number, _ = strconv.Atoi(string(r.Headers[i].Value))
			}
			c.Discard(n)
			break
		}
		if _, err := c.Next(); err != nil {
			return "", "", 0, false, false
		}
	}
	var b body
	b.reset(r.Body, r.ContentLength)
	var text strings.Builder
	for !b.done {
		p, n, err := b.next(c.Buffered(), &lim)
		if err != nil {
			return line, "", number, true, false
		}
		text.Write(p)
		c.Discard(n)
		if n == 0 && !b.done {
			if _, err := c.Next(); err != nil {
				return line, "", number, true, false
			}
		}
	}
	return line, text.String(), number, true, true
}

// serveAttempts is a host's connection.
func (s *resilience) serveAttempts(c *loop.Conn) {
	for {
		line, data, number, began, whole := readAttempt(c)
		if !began {
			c.Close()
			return
		}
		method, path, _ := strings.Cut(line, " ")
		part := strings.Split(path, "/")
		id := part[1]
		s.saw(id, number)
		if !whole {
			c.Close()
			return
		}
		size, _ := strconv.Atoi(part[2])
		if bodySize, _ := strconv.Atoi(part[3]); data != want(id, bodySize) {
			s.t.Errorf("%s: attempt %d got %d bytes of body, want %d of its own", id, number, len(data), bodySize)
		}
		s.runs[method+" "+id]++
		switch s.rng.IntN(3) {
		case 0:
			status := []string{"500", "502", "503", "418", "409"}[s.rng.IntN(5)]
			text := "no, " + id
			_, _ = c.Write([]byte("HTTP/1.1 " + status + " No\r\nContent-Length: " + strconv.Itoa(len(text)) + "\r\n\r\n" + text))
			_ = c.Drain(0)
			continue
		}
		if !s.reply(c, id, size) {
			return
		}
	}
}

// saw checks an attempt against those before, and what is under way against what
// may be.
func (s *resilience) saw(id string, number int) {
	a := s.of[id]
	if a == nil {
		a = &attempts{}
		s.of[id] = a
	}
	a.seen++
	a.last = max(a.last, number)
	if number > 1 {
		s.retry++
	}
	most := 1 + int(s.policy.Num)
	if h := s.hedge; h != nil {
		most += int(h.Initial-1) + min(int(h.Chance.Num), 1)
	}
	if number < 1 || number > most {
		s.t.Errorf("%s: attempt %d, and %d may be", id, number, most)
	}
	b := &s.clusters["c"].Breakers[0]
	if used := b.Retries.Used(); !b.Budgeted() && used > b.Retries.Limit() {
		s.t.Errorf("%s: %d retries under way, and %d may be", id, used, b.Retries.Limit())
	}
}

// ask sends one request over its own connection and hears the answer.
func (s *resilience) askOnce(id string) {
	o := s.order(id)
	c, err := s.client.Dial(s.addr, 0, config.Keepalive{})
	if err != nil {
		s.t.Errorf("%s: %v", id, err)
		return
	}
	defer c.Close()
	if cut := s.rng.IntN(len(o.text)); s.rng.IntN(3) == 0 { // the body comes late
		_, _ = c.Write([]byte(o.text[:cut]))
		s.client.Sleep(time.Duration(s.rng.IntN(200)) * time.Millisecond)
		_, _ = c.Write([]byte(o.text[cut:]))
	} else {
		_, _ = c.Write([]byte(o.text))
	}
	if s.rng.IntN(10) == 0 { // somebody who does not wait
		s.client.Sleep(time.Duration(s.rng.IntN(300)) * time.Millisecond)
		c.Reset()
		return
	}
	status, number, data, whole := s.hearNumbered(c, o.method)
	if number > 0 {
		s.passed[id] = number
	}
	switch {
	case !whole:
		s.cut++
		if status == "200" && !strings.HasPrefix(want(id, o.size), data) {
			s.t.Errorf("%s: what was cut is not its own", id)
		}
	case status == "200":
		s.answered++
		if data != want(id, o.size) {
			s.t.Errorf("%s: got %d bytes, want %d of its own", id, len(data), o.size)
		}
	case status == "409" || status == "418" || status[0] == '5':
		s.failed++
		if rest, own := strings.CutPrefix(data, "no, "); own && rest != id {
			s.t.Errorf("%s: got the refusal of %s", id, rest)
		}
	default:
		s.t.Errorf("%s: got %s", id, status)
	}
}

// hearNumbered is hearAnswer, with the number of the attempt that was answered.
func (s *resilience) hearNumbered(c *loop.Conn, method string) (status string, number int, data string, whole bool) {
	for !strings.Contains(string(c.Buffered()), "\r\n\r\n") {
		if _, err := c.Next(); err != nil {
			break
		}
	}
	if _, rest, ok := strings.Cut(string(c.Buffered()), "x-envoy-attempt-count: "); ok {
		text, _, _ := strings.Cut(rest, "\r\n")
		number, _ = strconv.Atoi(text)
	}
	status, data, whole = hearAnswer(c, method)
	return status, number, data, whole
}

// check compares what hosts saw in the end with what clients were told.
func (s *resilience) checkAttempts() {
	for id, number := range s.passed {
		if a := s.of[id]; a != nil && a.last > number {
			s.t.Errorf("%s: a host saw attempt %d, and attempt %d was answered", id, a.last, number)
		}
	}
	b := &s.clusters["c"].Breakers[0]
	if b.Retries.Used() != 0 {
		s.t.Errorf("%d places among the retries were not given back", b.Retries.Used())
	}
}

func TestSimRetries(t *testing.T) {
	answered, failed, cut, retries := 0, 0, 0, 0
	for seed := range loop.Seeds(t, 150) {
		r := rand.New(rand.NewPCG(seed, 7))
		policy := policyOf(r)
		forward := toCluster("c")
		forward.Retry, forward.Timeout = policy, time.Duration(1+r.IntN(15))*time.Second
		forward.Hedge = hedgeOf(seed)
		cfg := testHTTP(prefix("/", forward))
		v := cfg.Routes.VirtualHosts[0]
		v.AttemptCount, v.AttemptCountInResponse = true, true
		v.Body = []*config.BodyLimit{nil, {Bytes: uint64(r.IntN(30_000)), Capped: true}, {Bytes: 1 << 20}}[r.IntN(3)]
		hosts := []config.Address{at("10.0.0.2:80"), at("10.0.0.3:80"), at("10.0.0.4:80")}
		cluster := func(of ...config.Address) *config.Cluster {
			c := testCluster("c", of...)
			c.Breakers[0].MaxRetries = uint32(policy.Num) * 2
			if seed%3 == 0 {
				c.Breakers[0].Budget = &config.RetryBudget{Percent: 20, MinConcurrency: 1}
			}
			return c
		}
		g := newStage(t, seed, cfg, cluster(hosts...))
		g.clusters["c"].Filter(passesBy(seed))
		s := &resilience{
			scenario: &scenario{stage: g, rng: g.Rand(), runs: map[string]int{}, asked: cluster, sizes: 6},
			policy:   policy, hedge: forward.Hedge, of: map[string]*attempts{}, passed: map[string]int{},
		}
		if l := g.Weather(); l.MaxSegment > 0 && l.MaxSegment < 100 || l.Buffer > 0 && l.Buffer < 1000 {
			s.sizes = 4
		}
		for _, a := range hosts {
			g.serve(a, s.serveAttempts)
		}
		s.trouble(hosts)
		s.remaining = 1 + s.rng.IntN(30)
		for i := range s.remaining {
			g.client.Go(func() {
				defer func() { s.remaining-- }()
				g.client.Sleep(time.Duration(s.rng.IntN(2000)) * time.Millisecond)
				s.askOnce("r" + strconv.Itoa(i))
			})
		}
		if err := g.Run(func() bool { return s.remaining == 0 }, time.Hour); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		must(t, g.RunFor(30*time.Second))
		s.checkAttempts()
		g.SetLink(config.Address{}, loop.Link{})
		g.end()
		answered, failed, cut, retries = answered+s.answered, failed+s.failed, cut+s.cut, retries+s.retry
		if t.Failed() {
			t.Fatalf("seed %d, policy %+v", seed, policy)
		}
	}
	t.Logf("%d answered, %d refused, %d cut, %d retries", answered, failed, cut, retries)
	if answered == 0 || failed == 0 || retries == 0 {
		t.Error("the scenario shows nothing")
	}
}

// The same over HTTP/2 on either side or both; see TestSimStreams.
func TestSimRetriesOfStreams(t *testing.T) {
	retries := simRetriesOfStreams(t, loop.Seeds(t, 100))
	t.Logf("%d retries", retries)
	if retries == 0 {
		t.Error("the scenario shows nothing")
	}
}

// Seeds that have shown something. 1157: the head of an attempt that had won was read
// twice, and what it was read from is used up by the first time.
func TestSimRetriesOfStreamsKept(t *testing.T) {
	simRetriesOfStreams(t, slices.Values([]uint64{1157}))
}

func simRetriesOfStreams(t *testing.T, seeds iter.Seq[uint64]) (retries uint64) {
	for seed := range seeds {
		forward := toCluster("c")
		forward.Retry = policyOf(rand.New(rand.NewPCG(seed, 9)))
		forward.Hedge = hedgeOf(seed)
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
		s := &h2Scenario{scenario: &scenario{stage: g, rng: g.Rand(), runs: map[string]int{}, asked: cluster, sizes: 6}}
		if l := g.Weather(); l.MaxSegment > 0 && l.MaxSegment < 100 || l.Buffer > 0 && l.Buffer < 1000 {
			s.sizes = 4
		}
		s.hostOptions, s.clientOptions = s.windows(), s.windows()
		for _, a := range hosts {
			if hostH2 {
				g.serveStreams(a, s)
			} else {
				g.serve(a, s.host)
			}
		}
		s.trouble(hosts)
		s.remaining = 1 + s.rng.IntN(4)
		for i := range s.remaining {
			g.client.Go(func() {
				defer func() { s.remaining-- }()
				if name := "c" + strconv.Itoa(i); clientH2 {
					s.stay(name, 1+s.rng.IntN(20))
				} else {
					s.visit(name, 1+s.rng.IntN(12))
				}
			})
		}
		if err := g.Run(func() bool { return s.remaining == 0 }, time.Hour); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		must(t, g.RunFor(70*time.Second))
		k := g.clusters["c"]
		retries += k.On(g.proxy).Count.RqRetry
		if used := k.Breakers[0].Retries.Used(); used != 0 {
			t.Errorf("%d places among the retries were not given back", used)
		}
		g.SetLink(config.Address{}, loop.Link{})
		g.end()
		if t.Failed() {
			t.Fatalf("seed %d, policy %+v", seed, forward.Retry)
		}
	}
	return retries
}

// With every answer a failure the budget keeps what hosts see near to what clients
// ask: at most 1.2 times, whatever the policy would have.
func TestSimRetryBudgetBoundsAmplification(t *testing.T) {
	attempts, requests, worst := 0, 0, 0.0
	for seed := range loop.Seeds(t, 5) {
		forward := toCluster("c")
		forward.Retry = &config.Retry{
			On: config.Retry5xx, Num: 10, Base: 25 * time.Millisecond, Max: 250 * time.Millisecond,
			Hosts: config.RetryHosts{Attempts: 1},
		}
		k := testCluster("c", backendAddr)
		k.Breakers[0].Budget = &config.RetryBudget{Percent: 20, MinConcurrency: 3}
		g := newStage(t, seed, testHTTP(prefix("/", forward)), k)
		// All ask as long as the others do, and what comes after that does not count:
		// the least that the budget lets through is much to a few clients.
		left, lasts := 100, 500*time.Millisecond
		if seed > 3 { // shorter, for many
			left, lasts = 30+g.Rand().IntN(20), time.Duration(20+g.Rand().IntN(40))*time.Millisecond
		}
		saw, asked, until := 0, 0, g.client.Now()+int64(lasts)
		g.serve(backendAddr, func(c *loop.Conn) {
			for {
				if _, _, ok := readRequest(c); !ok {
					c.Close()
					return
				}
				if g.client.Now() < until {
					saw++
				}
				g.backend.Sleep(time.Duration(1+g.Rand().IntN(20)) * time.Millisecond)
				_, _ = c.Write([]byte("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"))
			}
		})
		for range left {
			g.client.Go(func() {
				defer func() { left-- }()
				c, err := g.client.Dial(g.addr, 0, config.Keepalive{})
				must(t, err)
				for g.client.Now() < until {
					asked++
					_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
					if status, _, _ := hearAnswer(c, "GET"); status != "503" {
						t.Errorf("got %s", status)
					}
				}
				c.Close()
			})
		}
		must(t, g.Run(func() bool { return left == 0 }, time.Hour))
		if saw*10 > asked*12 {
			t.Errorf("seed %d: %d attempts for %d requests", seed, saw, asked)
		}
		attempts, requests, worst = attempts+saw, requests+asked, max(worst, float64(saw)/float64(asked))
		g.end()
	}
	t.Logf("%d attempts for %d requests: %.3f times, %.3f at worst", attempts, requests, float64(attempts)/float64(requests), worst)
}
