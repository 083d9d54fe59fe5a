package transport

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/pki"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Slow keys, on either side, sign beside the worker: handshakes take their turns
// with them, nobody is lost, and RSA's key exchange goes the same way.
func TestSlowKeys(t *testing.T) {
	ca := pki.New(t, "root")
	for _, leaf := range []pki.Leaf{{RSA: true}, {Curve: elliptic.P384()}} {
		server, client := ca.Issue(leaf), ca.Issue(leaf)
		for _, suite := range []uint16{0, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_128_GCM_SHA256} {
			if suite != 0 && !leaf.RSA {
				continue
			}
			g := newStage(t, 1)
			down, up := common(), common()
			if suite != 0 {
				up.MaxVersion, up.CipherSuites, down.CipherSuites = tls.VersionTLS12, []uint16{suite}, []uint16{suite}
			}
			g.open(config.DownstreamTLS{TLS: down, RequireClientCertificate: true}, material(trust(ca), server))
			g.use(config.UpstreamTLS{TLS: up}, material(trust(ca), client))
			const many = 5
			good := 0
			for range many {
				g.client.Go(func() {
					st, err := g.connect(Peer{})
					if err != nil {
						t.Errorf("suite %x: %v", suite, err)
						return
					}
					if suite == 0 || st.Cipher == suite {
						good++
					}
				})
			}
			must(t, g.Run(func() bool { return good == many && g.Quiet() }, time.Hour))
			for _, q := range g.down.env.Queues {
				if q.aided || q.signers.len() > 0 {
					t.Errorf("still signing, %d wait", q.signers.len())
				}
			}
			g.end()
		}
	}
}

// A client that leaves while its handshake is signed for harms nobody.
func TestSimSlowKeyAndGone(t *testing.T) {
	ca := pki.New(t, "root")
	server := ca.Issue(pki.Leaf{RSA: true})
	for seed := range loop.Seeds(t, 20) {
		g := newStage(t, seed)
		g.Weather()
		g.open(config.DownstreamTLS{TLS: common()}, material(nil, server))
		g.use(config.UpstreamTLS{TLS: common()}, material(nil))
		g.play(func() {
			for range 10 {
				c := g.dial()
				g.client.Go(func() { _ = g.up.Secure(c, &Peer{}, time.Second) })
				g.client.Sleep(time.Duration(g.Rand().IntN(5)) * time.Millisecond)
				c.Reset()
			}
			_, err := g.connect(Peer{})
			must(t, err)
		})
		g.end()
	}
}

// BenchmarkSign says what a signature of each kind of key costs.
func BenchmarkSign(b *testing.B) {
	ca := pki.New(b, "root")
	digest := make([]byte, 32)
	for _, k := range []struct {
		name string
		leaf pki.Leaf
	}{
		{"P-256", pki.Leaf{}},
		{"P-384", pki.Leaf{Curve: elliptic.P384()}},
		{"P-521", pki.Leaf{Curve: elliptic.P521()}},
		{"RSA", pki.Leaf{RSA: true}},
	} {
		key := ca.Issue(k.leaf).Key
		b.Run(k.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := key.Sign(rand.Reader, digest, crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
