package listener

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/proxyproto"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// names is a room that remembers what came to it, and from whom.
type names struct {
	heard []byte
	peer  netip.AddrPort
	self  netip.AddrPort
	conns int
}

func (n *names) Accept(c *loop.Conn, _ int) {
	n.conns++
	n.peer, n.self = c.Peer(), c.Local()
	c.Worker().Go(func() {
		p, _ := io.ReadAll(c)
		n.heard = p
		c.Close()
	})
}

// door is a listener in a simulated world.
type door struct {
	*loop.Sim
	t              *testing.T
	server, client *loop.Worker
	l              *Listener
	socket         *loop.Listener
	done           bool
}

var front = config.Address{IP: netip.MustParseAddrPort("10.0.0.1:443")}

func newDoor(t *testing.T, seed uint64, plan *Plan) *door {
	t.Helper()
	d := &door{Sim: loop.NewSim(seed, slog.New(slog.DiscardHandler)), t: t}
	d.server, d.client = d.Worker("server"), d.Worker("client")
	d.l = &Listener{Name: "door", local: []*Local{{}}}
	d.l.plan.Store(plan)
	var err error
	d.socket, err = d.server.Listen(front, loop.ListenOptions{}, func(c *loop.Conn) { d.l.accepted(d.l.local[0], c) })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// send says p, byte by byte as the weather has it, and waits for the end.
func (d *door) send(p []byte) {
	d.t.Helper()
	d.done = false
	d.client.Go(func() {
		defer func() { d.done = true }()
		c, err := d.client.Dial(front, time.Minute, config.Keepalive{})
		if err != nil {
			d.t.Error(err)
			return
		}
		_, _ = c.Write(p)
		c.CloseWrite()
		_, _ = io.ReadAll(c)
		c.Close()
	})
	if err := d.Run(func() bool { return d.done && d.Quiet() }, time.Hour); err != nil {
		d.t.Error(err)
	}
}

func (d *door) end() {
	d.t.Helper()
	defer d.Close()
	d.socket.Close()
	if err := d.Run(d.Quiet, time.Hour); err != nil {
		d.t.Error(err)
	}
	if err := d.Leaks(); err != nil {
		d.t.Error(err)
	}
}

// clientHello is what Go's client begins with.
func clientHello(t *testing.T, name string, protocols ...string) []byte {
	t.Helper()
	w := &tape{}
	_ = tls.Client(w, &tls.Config{ServerName: name, NextProtos: protocols}).Handshake()
	return w.said
}

// The chain is chosen by what the ClientHello says, which the room then reads from
// its first byte, however it was cut; a PROXY header before it is taken off.
func TestSimInspected(t *testing.T) {
	source, destination := netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("198.51.100.9:8443")
	header := proxyproto.Append(nil, &proxyproto.Header{Version: 2, Source: source, Destination: destination})
	for seed := range loop.Seeds(t, 100) {
		a, b, plain, port, none := &names{}, &names{}, &names{}, &names{}, &names{}
		plan := &Plan{
			Chains: []Chain{
				{Match: config.ChainMatch{ServerNames: []string{"a.test"}, ApplicationProtocols: []string{"h2"}}, Room: a},
				{Match: config.ChainMatch{ServerNames: []string{"*.test"}}, Room: b},
				{Match: config.ChainMatch{TransportProtocol: "alts"}, Room: none},
				{Match: config.ChainMatch{TransportProtocol: "raw_buffer"}, Room: plain},
				{Match: config.ChainMatch{DestinationPort: 8443, TransportProtocol: "tls"}, Room: port},
			},
			Inspect: Inspect{Proxy: &config.ProxyProtocol{Optional: true}, TLS: &config.TLSInspector{}, Timeout: time.Hour},
		}
		d := newDoor(t, seed, plan)
		d.Weather()
		for _, c := range []struct {
			text []byte
			want *names
			peer netip.AddrPort
		}{
			{clientHello(t, "a.test", "h2"), a, netip.AddrPort{}},
			{clientHello(t, "x.test"), b, netip.AddrPort{}},
			{[]byte("hello, I am not TLS"), plain, netip.AddrPort{}},
			{slices.Concat(header, clientHello(t, "other")), port, source},
		} {
			before := c.want.conns
			d.send(c.text)
			said := c.text
			if c.peer.IsValid() {
				said = said[len(header):]
			}
			if c.want.conns != before+1 || !slices.Equal(c.want.heard, said) || c.peer.IsValid() && (c.want.peer != source || c.want.self != destination) {
				t.Errorf("seed %d: %.20q: %d connections, heard %d of %d bytes, from %v to %v",
					seed, c.text, c.want.conns-before, len(c.want.heard), len(said), c.want.peer, c.want.self)
			}
		}
		// Neither name nor protocol: the one without a chain is closed.
		d.send(clientHello(t, "a.example"))
		if n := d.l.local[0].Count.NoChain; n != 1 {
			t.Errorf("seed %d: %d without a chain", seed, n)
		}
		d.end()
	}
}

// Who says nothing, or not enough, is closed in time, or goes on without.
func TestInspectionTimesOut(t *testing.T) {
	for _, goOn := range []bool{false, true} {
		room := &names{}
		d := newDoor(t, 1, &Plan{
			Chains:  []Chain{{Room: room}},
			Inspect: Inspect{TLS: &config.TLSInspector{}, Timeout: 15 * time.Second, Continue: goOn},
		})
		d.client.Go(func() {
			c, err := d.client.Dial(front, time.Minute, config.Keepalive{})
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = c.Write([]byte{22, 3})
			d.client.Sleep(20 * time.Second)
			c.CloseWrite()
			_, _ = io.ReadAll(c)
			c.Close()
			d.done = true
		})
		if err := d.Run(func() bool { return d.done && d.Quiet() }, time.Hour); err != nil {
			t.Error(err)
		}
		if n := d.l.local[0].Inspected.PreCxTimeout; n != 1 || (room.conns == 1) != goOn || goOn && len(room.heard) != 2 {
			t.Errorf("continue %v: %d timed out, %d served, heard %d bytes", goOn, n, room.conns, len(room.heard))
		}
		d.end()
	}
}

// A header is asked for: whoever has none, or a bad one, is let in nowhere.
func TestProxyHeaderRequired(t *testing.T) {
	room := &names{}
	d := newDoor(t, 1, &Plan{
		Chains:  []Chain{{Room: room}},
		Inspect: Inspect{Proxy: &config.ProxyProtocol{NoV1: true}, Timeout: time.Second},
	})
	d.send([]byte("GET / HTTP/1.1\r\n\r\n"))
	d.send([]byte("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nhello"))
	d.send([]byte("PROXY TCP4 nonsense\r\n")) // nobody looks whether it is well formed
	d.send([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x31\x00\x00"))
	n := &d.l.local[0].Inspected
	if room.conns != 0 || n.ProxyMissing != 1 || n.ProxyRefused[1] != 2 || n.ProxyBroken[2] != 1 {
		t.Errorf("%d were served; counted %+v", room.conns, n)
	}
	d.end()
}

// tape records what is written to it, and has nothing to say.
type tape struct {
	net.Conn
	said []byte
}

func (w *tape) Write(p []byte) (int, error) {
	w.said = append(w.said, p...)
	return len(p), nil
}

func (*tape) Read([]byte) (int, error) { return 0, io.EOF }
