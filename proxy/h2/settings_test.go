package h2

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/codec/http2"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// helloHost answers each stream with five bytes and is done with it.
type helloHost struct{ w *loop.Worker }

func (h helloHost) Changed(*Conn) {}
func (h helloHost) Lost(*Conn)    {}
func (h helloHost) Expired(*Conn) {}
func (h helloHost) Opened(s *Stream, _ error) {
	h.w.Go(func() {
		if s.Head() {
			s.Status(200)
			s.SendHead(false)
			s.Send([]byte("hello"), true)
		}
		s.Close()
	})
}

// What a window lets out that SETTINGS have opened comes behind their
// acknowledgement: before it the peer must take the old one to hold. h2spec met
// the other order, whenever the answer was ready before the SETTINGS came.
func TestSettingsAcknowledgedFirst(t *testing.T) {
	sim := loop.NewSim(1, slog.New(slog.DiscardHandler))
	defer sim.Close()
	w, peer := sim.Worker("here"), sim.Worker("peer")
	o := config.H2Defaults()
	opts := NewOptions(&o, http1.DefaultLimits(), 64<<10, time.Second, time.Minute)
	var count Counters
	var spare Spare
	at := config.Address{IP: netip.MustParseAddrPort("10.0.0.1:80")}
	l, err := w.Listen(at, loop.ListenOptions{}, func(c *loop.Conn) { Serve(c, opts, helloHost{w}, &count, &spare) })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var got []string
	hear := func(c *loop.Conn) {
		for {
			c.SetReadTimeout(time.Second)
			b, err := c.Next()
			for len(b) > 0 {
				var f http2.Frame
				n, _ := f.Parse(b, initialFrame)
				if n == 0 {
					break
				}
				got = append(got, fmt.Sprintf("%v %d %d", f.Type, f.Flags, len(f.Payload)))
				b = b[n:]
				c.Discard(n)
			}
			if err != nil {
				return
			}
		}
	}
	done := false
	peer.Go(func() {
		defer func() { done = true }()
		c, err := peer.Dial(at, 0, config.Keepalive{})
		if err != nil {
			t.Error(err)
			return
		}
		var enc http2.Encoder
		enc.Init(0)
		block := enc.Request(enc.Begin(nil), []byte("GET"), []byte("http"), []byte("a"), []byte("/"), nil)
		window := func(n uint32) []byte {
			return http2.AppendSettings(nil, http2.Setting{ID: http2.SettingInitialWindowSize, Value: n})
		}
		_, _ = c.Write(append([]byte(http2.Preface), window(0)...))
		_, _ = c.Write(http2.AppendBlock(nil, 1, true, block, initialFrame))
		hear(c)
		got = nil
		_, _ = c.Write(window(1))
		hear(c)
		c.Close()
	})
	if err := sim.Run(func() bool { return done }, time.Minute); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(got, ", "); text != "SETTINGS 1 0, DATA 0 1" {
		t.Errorf("got %s", text)
	}
}
