package transport

import (
	"crypto/tls"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/pki"
	"github.com/attache-mesh/attache/proxy/loop"
)

// What both sides have agreed on is known to the room and counted.
func TestHandshake(t *testing.T) {
	ca := pki.New(t, "root")
	server := ca.Issue(pki.Leaf{DNS: []string{"example.com"}})
	client := ca.Issue(pki.Leaf{URIs: []string{"spiffe://example.com/app"}})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		g := newStage(t, 1)
		down, up := common(), common()
		down.ALPN, up.ALPN, up.MaxVersion = []string{"h2", "http/1.1"}, []string{"http/1.1"}, version
		g.open(config.DownstreamTLS{TLS: down, RequireClientCertificate: true}, material(trust(ca), server))
		g.use(config.UpstreamTLS{TLS: up, SNI: "example.com", AutoSNISAN: true, MaxSessions: 1}, material(trust(ca), client))
		g.play(func() {
			for range 2 {
				st, err := g.connect(Peer{})
				must(t, err)
				if st.Protocol != "http/1.1" || st.Version != version || len(st.Peer) != 1 || !st.Verified || st.Own == nil {
					t.Errorf("client's state: %+v", st)
				}
			}
		})
		if len(g.states) != 2 {
			t.Fatalf("%d connections were served", len(g.states))
		}
		for i, st := range g.states {
			if st.Protocol != "http/1.1" || st.ServerName != "example.com" || st.Resumed != (i == 1) || !st.Verified ||
				len(st.Peer) != 1 || st.Peer[0].URIs[0].String() != "spiffe://example.com/app" || !st.Own.Equal(server.Cert) {
				t.Errorf("%d: server's state: %+v", i, st)
			}
		}
		want := map[string]uint64{
			"ssl.handshake": 2, "ssl.session_reused": 1, "ssl.curves.X25519": 2, "ssl.versions." + VersionName(version): 2,
		}
		for _, n := range []*Counters{g.downTally.On(g.server), g.upTally.On(g.client)} {
			got := counted(n)
			maps.DeleteFunc(got, func(name string, v uint64) bool { return len(name) > 12 && name[:12] == "ssl.ciphers." && v == 2 })
			if !maps.Equal(got, want) {
				t.Errorf("counted %v, want %v", got, want)
			}
		}
		g.end()
	}
}

// A client that offers no protocol of the server's is served without.
func TestNoCommonProtocol(t *testing.T) {
	ca := pki.New(t, "root")
	g := newStage(t, 1)
	down, up := common(), common()
	down.ALPN, up.ALPN = []string{"h2"}, []string{"spdy/3"}
	g.open(config.DownstreamTLS{TLS: down}, material(nil, ca.Issue(pki.Leaf{})))
	g.use(config.UpstreamTLS{TLS: up}, material(nil))
	g.play(func() {
		st, err := g.connect(Peer{})
		must(t, err)
		if st.Protocol != "" || st.Verified {
			t.Errorf("%+v", st)
		}
	})
	g.end()
}

// A context serves the next handshake with its new secrets; what stands goes on.
func TestRotation(t *testing.T) {
	ca := pki.New(t, "root")
	g := newStage(t, 1)
	g.open(config.DownstreamTLS{TLS: common()}, material(nil, ca.Issue(pki.Leaf{CommonName: "first"})))
	g.use(config.UpstreamTLS{TLS: common(), MaxSessions: 4}, material(trust(ca)))
	g.play(func() {
		old := g.dial()
		must(t, g.up.Secure(old, &Peer{}, time.Second))
		must(t, g.down.Use(material(nil, ca.Issue(pki.Leaf{CommonName: "second"}))))
		st, err := g.connect(Peer{})
		must(t, err)
		if name := st.Peer[0].Subject.CommonName; name != "second" {
			t.Errorf("after the rotation: %s", name)
		}
		_, _ = old.Write([]byte("hello"))
		if p, err := old.Next(); string(p) != "hello" {
			t.Errorf("a connection of before: %q, %v", p, err)
		}
		old.Close()
		// The client's roots are replaced: nothing that was agreed on under the old
		// ones is resumed, and the server is not believed any more.
		must(t, g.up.Use(material(trust(pki.New(t, "another")))))
		var f *Failure
		if _, err := g.connect(Peer{}); !errors.As(err, &f) || !f.Verification() {
			t.Errorf("under other roots: %v", err)
		}
	})
	g.end()
}

// Without its secrets a context serves nobody, and says so.
func TestMissingSecret(t *testing.T) {
	g := newStage(t, 1)
	g.open(config.DownstreamTLS{TLS: common()}, &config.Material{Missing: "cert"})
	g.use(config.UpstreamTLS{TLS: common()}, &config.Material{Missing: "roots"})
	g.play(func() {
		_, err := g.connect(Peer{})
		if !errors.Is(err, errNotReady) {
			t.Errorf("client: %v", err)
		}
		c := g.dial()
		if _, err := c.Next(); err == nil {
			t.Error("server: it was served")
		}
		c.Close()
	})
	if up, down := g.upTally.On(g.client).NotReady, g.downTally.On(g.server).NotReady; up != 1 || down != 2 {
		t.Errorf("not ready: %d upstream, %d downstream", up, down)
	}
	g.end()
}

// Silence, slowness and another protocol end at their time and are counted.
func TestBadClients(t *testing.T) {
	ca := pki.New(t, "root")
	g := newStage(t, 1)
	g.open(config.DownstreamTLS{TLS: common()}, material(nil, ca.Issue(pki.Leaf{})))
	g.play(func() {
		silent, slow, plain := g.dial(), g.dial(), g.dial()
		_, _ = slow.Write([]byte{22, 3})
		_, _ = plain.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		for _, c := range []*loop.Conn{plain, silent, slow} {
			for {
				if _, err := c.Next(); err != nil {
					break
				}
				c.Discard(c.Pending())
			}
			c.Close()
		}
	})
	if took := g.Now(); took < DefaultHandshakeTimeout || took > DefaultHandshakeTimeout+time.Second {
		t.Errorf("took %v", took)
	}
	n := g.downTally.On(g.server)
	if n.HandshakeTimeout != 2 || n.ConnectionError != 1 || n.Handshake != 0 {
		t.Errorf("counted %+v", n)
	}
	g.end()
}

// Storms: every connection is served, however they come, and no more than the
// limit are let in.
func TestSimStorm(t *testing.T) {
	ca := pki.New(t, "root")
	pair := ca.Issue(pki.Leaf{})
	for seed := range loop.Seeds(t, 20) {
		g := newStage(t, seed)
		g.Weather()
		g.open(config.DownstreamTLS{TLS: common()}, material(nil, pair))
		g.use(config.UpstreamTLS{TLS: common(), MaxSessions: 1}, material(nil))
		g.timeout = time.Hour
		const storm = 50
		good := 0
		for range storm {
			g.client.Go(func() {
				c := g.dial()
				defer c.Close()
				if err := g.up.Secure(c, &Peer{}, time.Hour); err != nil {
					t.Errorf("seed %d: %v", seed, err)
					return
				}
				_, _ = c.Write([]byte("hello"))
				if p, err := c.Next(); err == nil && p[0] == 'h' {
					good++
				}
			})
		}
		must(t, g.Run(func() bool { return good == storm && g.Quiet() }, time.Hour))
		g.end()
	}
}

func TestQueueLimit(t *testing.T) {
	ca := pki.New(t, "root")
	g := newStage(t, 1)
	g.open(config.DownstreamTLS{TLS: common()}, material(nil, ca.Issue(pki.Leaf{})))
	g.down.env.Queues[0].limit = 3
	g.play(func() {
		var all []*loop.Conn
		refused := 0
		for range 5 {
			if c, err := g.client.Dial(front, time.Minute, config.Keepalive{}); err == nil {
				all = append(all, c)
			} else {
				refused++
			}
		}
		g.client.Sleep(time.Second)
		for _, c := range all {
			if _, err := c.Fill(); err != nil {
				refused++
			}
			c.Close()
		}
		if refused != 2 || g.down.env.Queues[0].Refused != 2 {
			t.Errorf("%d were refused, %d counted", refused, g.down.env.Queues[0].Refused)
		}
	})
	g.end()
}
