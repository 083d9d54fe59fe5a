package proxy

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/callout"
	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	wire "github.com/attache-mesh/attache/proxy/codec/protowire"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/h2"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Connections pass filters before they are served: limits of number and rate, policies,
// and a service that is asked while the client goes on sending, or leaves; it answers
// late, wrongly, or not at all. Who is not let in is heard by no host.
func TestSimConnectionFilters(t *testing.T) {
	seen, ran := map[string]int{}, 0
	for seed := range loop.Seeds(t, 200) {
		for what, n := range live(t, seed, nil, filterLives) {
			seen[what] += n
		}
		ran++
	}
	t.Logf("%v", seen)
	for _, what := range []string{"echoed", "refused", "broken", "left", "barred"} {
		if seen[what] == 0 && ran > 20 {
			t.Errorf("none %s: the scenario shows too little", what)
		}
	}
}

// barred is a listener whose port a policy does not allow.
var barred = ipAt("10.0.0.1:81")

func filterLives(w *lives) {
	open := w.rng.IntN(3) == 0 // an authorization that fails lets pass
	filters := []config.NetworkFilter{
		{Name: "limit", Config: &config.ConnectionLimit{StatPrefix: "limit", Max: 1024}},
		{Name: "rate", Config: &config.ConnectionRateLimit{StatPrefix: "rate", Bucket: config.TokenBucket{Max: 1024, Tokens: 1024, Interval: time.Second}}},
		{Name: "rbac", Config: &config.ConnectionRBAC{StatPrefix: "rbac", Delay: time.Duration(w.rng.IntN(2)) * 300 * time.Millisecond, RBAC: config.RBAC{
			Rules: &config.RBACRules{Action: config.RBACDeny, Policies: []config.RBACPolicy{{
				Name: "barred", Permissions: []config.RBACRule{{Kind: config.RBACPort, From: 81, To: 81}}, Principals: []config.RBACRule{{Kind: config.RBACAny}},
			}}},
		}}},
		{Name: "authz", Config: &config.ConnectionAuthz{StatPrefix: "authz", FailureAllow: open, Service: config.GRPCService{Cluster: "authz", Authority: "authz", Timeout: 500 * time.Millisecond}}},
	}
	if !w.mild {
		filters[0].Config.(*config.ConnectionLimit).Max = uint64(1 + w.rng.IntN(4))
		filters[0].Config.(*config.ConnectionLimit).Delay = time.Duration(w.rng.IntN(2)) * 200 * time.Millisecond
		filters[1].Config.(*config.ConnectionRateLimit).Bucket = config.TokenBucket{Max: 3, Tokens: 1, Interval: 300 * time.Millisecond}
	}
	tcp := &config.TCP{StatPrefix: "t", Clusters: []config.WeightedCluster{{Name: "hosts"}}, IdleTimeout: time.Minute, MaxConnectAttempts: 1, OnData: w.rng.IntN(2) == 0}
	in, other := frontOf(tcp, filters...), frontOf(tcp, filters...)
	other.Name, other.Address = "barred", barred
	hosts, service := []config.Address{ipAt("10.4.0.1:7"), ipAt("10.4.0.2:7")}, ipAt("10.4.1.1:80")
	timeout := time.Second
	resources := func() config.Resources {
		c := shape("authz", service)
		c.HTTP.Protocol, c.ConnectTimeout = config.UpstreamHTTP2, timeout
		return config.Resources{Listeners: []*config.Listener{in, other}, Clusters: []*config.Cluster{shape("hosts", hosts...), c}}
	}
	w.apply(resources())
	size := w.foul()
	gate := &gate{lives: w, heard: map[string]bool{}}
	for _, a := range hosts {
		w.serve(a, gate.host)
	}
	gate.open(service)
	if !w.mild {
		w.trouble(append(hosts, service)...)
		for range w.rng.IntN(3) {
			w.applyAt(time.Duration(w.rng.IntN(3000))*time.Millisecond, func() config.Resources {
				timeout += time.Millisecond
				return resources()
			})
		}
	}
	for i := range 1 + w.rng.IntN(5) {
		w.visit(func() {
			for k := range 4 {
				gate.enter(fmt.Sprint("c", i, "-", k), 1+w.rng.IntN(size), open)
				w.nap(w.client, time.Second)
			}
		})
	}
	w.last = func() {
		for name, v := range w.figures("connection_limit.limit.active_connections", "ext_authz.authz.active") {
			if v != 0 {
				w.t.Errorf("%s is %d when all have gone", name, v)
			}
		}
	}
}

// gate is the service, and what hosts have heard. It lets the connections of even
// ports in.
type gate struct {
	*lives
	heard map[string]bool // ids
	count h2.Counters
	spare h2.Spare
}

// host echoes what it hears, by lines: the first names the client's connection.
func (g *gate) host(c *loop.Conn) {
	defer c.Close()
	_, _ = c.Write([]byte("host\n"))
	in := bufio.NewReader(c)
	id, err := in.ReadString('.')
	if id != "" {
		g.heard[strings.TrimSuffix(id, ".")] = true
	}
	_, _ = c.Write([]byte(id))
	if err == nil {
		_, err = io.Copy(c, in)
	}
	if err != nil && err != io.EOF {
		c.Reset()
	}
	_ = c.Drain(0)
}

// enter is a client.
func (g *gate) enter(id string, size int, open bool) {
	size = max(size, len(id)+1)
	at := front
	if g.rng.IntN(5) == 0 {
		at = barred
	}
	c, err := g.client.Dial(at, 0, config.Keepalive{})
	if err != nil {
		g.seen["broken"]++
		return
	}
	defer c.Close()
	lets := c.Local().Port()%2 == 0
	switch {
	case at == front && lets:
		g.converse(c, bufio.NewReader(c), "host", id, size)
		return
	case at == barred:
		g.seen["barred"]++
	default:
		g.seen["refused"]++
	}
	g.client.Go(func() {
		for range 3 {
			_, _ = c.Write([]byte(said(id, size)))
			g.nap(g.client, 300*time.Millisecond)
		}
	})
	got, err := io.ReadAll(c)
	switch {
	case at == front && open && !g.mild: // it may have been let in
	case len(got) > len("host\n"), g.heard[id]:
		g.t.Errorf("%s: was not let in, but heard %q, %v", id, got, err)
	}
}

func (g *gate) open(at config.Address) {
	o := config.H2Defaults()
	options := h2.NewOptions(&o, http1.DefaultLimits(), 64<<10, time.Second, time.Minute)
	l, err := g.backend.Listen(at, loop.ListenOptions{}, func(c *loop.Conn) { h2.Serve(c, options, g, &g.count, &g.spare) })
	g.must(err)
	g.closing = append(g.closing, l.Close)
}

func (g *gate) Changed(*h2.Conn)   {}
func (g *gate) Lost(*h2.Conn)      {}
func (g *gate) Expired(c *h2.Conn) { c.Shut(http2.NoError, "") }
func (g *gate) Opened(st *h2.Stream, err error) {
	g.backend.Go(func() {
		defer st.Close()
		var body []byte
		for !st.Last() || st.Pending() > 0 {
			body = append(body, st.Buffered()...)
			st.Discard(st.Pending())
			if st.Last() {
				break
			}
			if st.Wait(0) != nil {
				return
			}
		}
		g.answer(st, body)
	})
}

// answer says yes or no, or something else.
func (g *gate) answer(st *h2.Stream, body []byte) {
	code := uint64(7)
	if sourcePort(body[5:])%2 == 0 {
		code = 0
	}
	fault := g.rng.IntN(12)
	if g.mild && fault < 6 {
		fault = 11
	}
	switch fault {
	case 0:
		st.Reset(http2.InternalError)
		return
	case 1:
		st.Conn().Net().Reset()
		return
	case 2:
		g.backend.Sleep(time.Duration(g.rng.IntN(3000)) * time.Millisecond)
	case 3:
		st.Conn().Drain()
	case 6, 7:
		g.nap(g.backend, 300*time.Millisecond)
	}
	if !st.Head() {
		return
	}
	st.Status(200)
	st.SendHead(false)
	msg, mark := wire.Begin(nil, 1)
	msg = wire.End(wire.AppendUint(msg, 1, code), mark)
	if fault == 4 {
		msg = []byte{0xff}
	}
	st.Send(append(callout.AppendFrame(nil, len(msg)), msg...), false)
	status := "0"
	if fault == 5 {
		status = "14"
	}
	st.SendTrailers([]http1.Header{{Name: []byte("grpc-status"), Value: []byte(status)}})
}

// sourcePort is attributes.source.address.socket_address.port_value of a CheckRequest.
func sourcePort(msg []byte) (port uint64) {
	for _, number := range []int{1, 1, 1, 1, 3} {
		r := wire.Read(msg)
		for r.Next() {
			if r.Number == number {
				msg, port = r.Data, r.Num
				break
			}
		}
	}
	return port
}
