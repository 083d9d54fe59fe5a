package loop

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// A secured connection is used by the same calls, and means the same, as a
// plain one.

// tlsConfigs are a server's and a client's that takes it as it is.
func tlsConfigs(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	must(t, err)
	server = &tls.Config{
		Certificates:                []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		NextProtos:                  []string{"b", "a"},
		DynamicRecordSizingDisabled: true,
	}
	client = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"a"}, DynamicRecordSizingDisabled: true}
	return server, client
}

// secureServer serves each connection with h after a handshake.
func secureServer(t testing.TB, w *Worker, a config.Address, cfg *tls.Config, h func(*Conn)) *Listener {
	t.Helper()
	l, err := w.Listen(a, ListenOptions{}, func(c *Conn) {
		w.Go(func() {
			c.SetReadTimeout(time.Minute)
			y := tls.Server(c.Wire(), cfg)
			if c.Secure(y, w.Yield) != nil {
				c.Close()
				return
			}
			c.Describe(y.ConnectionState().NegotiatedProtocol, y)
			c.SetReadTimeout(0)
			h(c)
		})
	})
	must(t, err)
	return l
}

// secureDial is dial with a handshake, which must succeed.
func (g *stage) secureDial(a config.Address, cfg *tls.Config) *Conn {
	c := g.dial(a)
	y := tls.Client(c.Wire(), cfg)
	must(g.t, c.Secure(y, nil))
	c.Describe(y.ConnectionState().NegotiatedProtocol, nil)
	return c
}

// say sends p by all the ways there are, as chance has it, and ends.
func say(c *Conn, rng *mathrand.Rand, p []byte) error {
	for len(p) > 0 {
		n := min(1+rng.IntN([]int{10, 1000, 100_000}[rng.IntN(3)]), len(p))
		part := p[:n]
		p = p[n:]
		switch rng.IntN(4) {
		case 0:
			if _, err := c.Write(part); err != nil {
				return err
			}
		case 1:
			c.Commit(append(c.Begin(n), part...))
		case 2:
			if err := c.Send(part); err != nil {
				return err
			}
		default:
			if err := c.SendTwo(part[:n/2], part[n/2:]); err != nil {
				return err
			}
		}
		if rng.IntN(3) == 0 {
			if err := c.Drain(rng.IntN(1 << 16)); err != nil {
				return err
			}
		}
	}
	c.CloseWrite()
	return nil
}

// hear reads to the end by all the ways there are.
func hear(c *Conn, rng *mathrand.Rand) (got []byte, err error) {
	for {
		var n int
		switch rng.IntN(3) {
		case 0:
			p := make([]byte, 1+rng.IntN(5000))
			n, err = c.Read(p)
			got = append(got, p[:n]...)
		case 1:
			var p []byte
			p, err = c.Stream(1 + rng.IntN(50_000))
			got = append(got, p...)
			if n = len(p); n == 0 && err == nil {
				err = c.Wait()
			}
		default:
			_, err = c.Next()
			n = c.Pending()
			if err == nil {
				n = rng.IntN(n + 1)
			}
			got = append(got, c.Buffered()[:n]...)
			c.Discard(n)
		}
		if err == io.EOF && c.Pending() == 0 {
			return got, nil
		}
		if err != nil && err != io.EOF {
			return got, err
		}
	}
}

func TestSimLayerConverses(t *testing.T) {
	server, client := tlsConfigs(t)
	for seed := range Seeds(t, 100) {
		cryptotest.SetGlobalRandom(t, seed)
		g := newStage(t, seed)
		g.Weather()
		if seed%2 == 0 {
			client.MaxVersion = tls.VersionTLS12
		} else {
			client.MaxVersion = tls.VersionTLS13
		}
		question := make([]byte, g.Rand().IntN(300_000))
		answer := make([]byte, g.Rand().IntN(300_000))
		fillRandom(g.Rand(), question)
		fillRandom(g.Rand(), answer)
		open := 0
		talk := func(c *Conn, says, hears []byte) {
			open++
			w := c.Worker()
			rng := g.Rand()
			spoken := false
			w.Go(func() {
				must(t, say(c, rng, says))
				spoken = true
			})
			got, err := hear(c, rng)
			if err != nil || !bytes.Equal(got, hears) || c.Truncated() {
				t.Errorf("seed %d: heard %d of %d bytes, %v, truncated %v", seed, len(got), len(hears), err, c.Truncated())
			}
			for !spoken {
				w.Sleep(time.Millisecond)
			}
			if c.Protocol() != "a" {
				t.Errorf("seed %d: protocol %q", seed, c.Protocol())
			}
			if err := c.Drain(0); err != nil {
				t.Errorf("seed %d: drain: %v", seed, err)
			}
			c.Close()
			open--
		}
		l := secureServer(t, g.server, at("10.0.0.1:443"), server, func(c *Conn) { talk(c, answer, question) })
		g.play(func() { talk(g.secureDial(l.Addr(), client), question, answer) })
		must(t, g.Run(func() bool { return open == 0 }, time.Hour))
		settle(t, g.Sim, l)
		g.Close()
	}
}

func fillRandom(rng *mathrand.Rand, p []byte) {
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
}

// Wherever a stream is cut, with an end or a reset, in the handshake or after,
// nobody takes a part for the whole, and nothing stays behind.
func TestSimLayerCutAnywhere(t *testing.T) {
	server, client := tlsConfigs(t)
	said := bytes.Repeat([]byte("all of it "), 30)
	whole := 0
	for seed := range Seeds(t, 300) {
		cryptotest.SetGlobalRandom(t, seed)
		g := newStage(t, seed)
		middle := g.Worker("middle")
		l := secureServer(t, g.server, at("10.0.0.1:443"), server, func(c *Conn) {
			got, err := hear(c, g.Rand())
			checkCut(t, seed, c, got, said, err)
			_, _ = c.Write(said)
			c.CloseAfterReply(time.Second)
		})
		cut := relay(t, middle, at("10.0.0.2:443"), l.Addr(), seed)
		g.play(func() {
			c := g.dial(at("10.0.0.2:443"))
			c.SetReadTimeout(10 * time.Second)
			defer c.Close()
			if c.Secure(tls.Client(c.Wire(), client), nil) != nil {
				return
			}
			_, _ = c.Write(said)
			c.CloseWrite()
			got, err := hear(c, g.Rand())
			checkCut(t, seed, c, got, said, err)
			if err == nil && !c.Truncated() {
				whole++
			}
		})
		settle(t, g.Sim, l, cut)
		g.Close()
	}
	if whole == 0 {
		t.Error("nothing was ever left whole: the test cuts too early")
	}
}

func checkCut(t *testing.T, seed uint64, c *Conn, got, said []byte, err error) {
	t.Helper()
	if err == nil && !c.Truncated() && !bytes.Equal(got, said) {
		t.Errorf("seed %d: %d of %d bytes were taken for the whole", seed, len(got), len(said))
	}
	if !bytes.HasPrefix(said, got) {
		t.Errorf("seed %d: heard what was not said", seed)
	}
}

// relay passes bytes on between who dials a and to, and ends the connection
// after as many bytes of one direction as the seed says.
func relay(t *testing.T, w *Worker, a, to config.Address, seed uint64) *Listener {
	t.Helper()
	after, way, reset := int(seed/4*26), seed%2, seed/2%2 == 0
	l, err := w.Listen(a, ListenOptions{}, func(c *Conn) {
		w.Go(func() {
			up, err := w.Dial(to, time.Minute, config.Keepalive{})
			must(t, err)
			ends := 0
			pass := func(from, to *Conn, left int) {
				for {
					p, err := from.Next()
					n := min(len(p), left)
					_, _ = to.Write(p[:n])
					from.Discard(len(p))
					left -= n
					switch {
					case left == 0 && reset:
						from.Reset()
						to.Reset()
						return
					case left == 0:
						ends = 2
					case err == io.EOF:
						to.CloseWrite()
						ends++
					case err == nil:
						continue
					default:
						ends = 2
					}
					if ends >= 2 {
						_ = to.Drain(0)
						from.Close()
						to.Close()
					}
					return
				}
			}
			limits := [2]int{1 << 30, 1 << 30}
			limits[way] = after
			w.Go(func() { pass(c, up, limits[0]) })
			w.Go(func() { pass(up, c, limits[1]) })
		})
	})
	must(t, err)
	return l
}

// An idle secured connection holds no coroutine, serves through its handler,
// and what came with the end of the handshake is served without a further
// event.
func TestSimLayerServesHandlers(t *testing.T) {
	server, client := tlsConfigs(t)
	for seed := range Seeds(t, 100) {
		cryptotest.SetGlobalRandom(t, seed)
		g := newStage(t, seed)
		g.Weather()
		inline := seed%2 == 0
		replies := &funcs{ready: func(c *Conn) {
			for {
				n, err := c.Fill()
				_ = c.Send(c.Buffered())
				c.Discard(c.Pending())
				if err != nil {
					c.Close()
				}
				if n == 0 || err != nil {
					return
				}
			}
		}}
		l := secureServer(t, g.server, at("10.0.0.1:443"), server, func(c *Conn) { c.Serve(replies, inline) })
		g.play(func() {
			c := g.dial(l.Addr())
			y := tls.Client(c.Wire(), client)
			must(t, c.Secure(y, nil))
			for n := range 5 {
				msg := bytes.Repeat([]byte{byte(n)}, 1+g.Rand().IntN(40_000))
				_, _ = c.Write(msg)
				got := make([]byte, len(msg))
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, msg) {
					t.Errorf("seed %d: %v", seed, err)
				}
				g.client.Sleep(time.Second)
				if n := g.server.Counters().Running; n != 0 {
					t.Errorf("seed %d: %d coroutines for an idle connection", seed, n)
				}
			}
			c.Close()
		})
		settle(t, g.Sim, l)
		g.Close()
	}
}

// A handshake that the peer does not go on with ends at the read deadline; one
// with a peer that speaks something else ends at once.
func TestLayerHandshakeFails(t *testing.T) {
	server, _ := tlsConfigs(t)
	g := newStage(t, 1)
	defer g.Close()
	var failed []error
	l, err := g.server.Listen(at("10.0.0.1:443"), ListenOptions{}, func(c *Conn) {
		g.server.Go(func() {
			c.SetReadTimeout(10 * time.Second)
			failed = append(failed, c.Secure(tls.Server(c.Wire(), server), nil))
			c.Close()
		})
	})
	must(t, err)
	g.play(func() {
		silent := g.dial(l.Addr())
		_, _ = silent.Write([]byte{22, 3, 1})
		plain := g.dial(l.Addr())
		_, _ = plain.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		_, _ = io.ReadAll(plain)
		plain.Close()
		_, _ = io.ReadAll(silent)
		if g.Now() < 10*time.Second {
			t.Errorf("the silent one was closed after %v", g.Now())
		}
		silent.Close()
	})
	var header tls.RecordHeaderError
	if len(failed) != 2 || !errors.As(failed[0], &header) || !errors.Is(failed[1], ErrTimeout) {
		t.Errorf("handshakes ended with %v", failed)
	}
	settle(t, g.Sim, l)
}

// What came in plain before the layer is the layer's, and what was queued goes
// out before it: STARTTLS.
func TestSimLayerBeginsMidway(t *testing.T) {
	server, client := tlsConfigs(t)
	for seed := range Seeds(t, 100) {
		cryptotest.SetGlobalRandom(t, seed)
		g := newStage(t, seed)
		g.Weather()
		l, err := g.server.Listen(at("10.0.0.1:25"), ListenOptions{}, func(c *Conn) {
			g.server.Go(func() {
				line := make([]byte, 9)
				_, err := io.ReadFull(c, line)
				must(t, err)
				if g.Rand().IntN(2) == 0 {
					g.server.Sleep(time.Second) // the hello comes before we ask for it
					_, _ = c.Fill()
				}
				must(t, c.Secure(tls.Server(c.Wire(), server), nil))
				p, _ := c.Next()
				_, _ = c.Write(p)
				c.CloseAfterReply(time.Second)
			})
		})
		must(t, err)
		g.play(func() {
			c := g.dial(l.Addr())
			_, _ = c.Write([]byte("STARTTLS\n"))
			must(t, c.Secure(tls.Client(c.Wire(), client), nil))
			_, _ = c.Write([]byte("x"))
			if got, err := io.ReadAll(c); string(got) != "x" || err != nil {
				t.Errorf("seed %d: %q, %v", seed, got, err)
			}
			c.Close()
		})
		settle(t, g.Sim, l)
		g.Close()
	}
}
