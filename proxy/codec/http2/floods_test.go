package http2

import "testing"

// attack is what a peer does again and again, and after how many times it is over.
var attacks = []struct {
	name string
	// step is one round at now (ns); it returns the first error.
	step func(a *Floods, now int64) error
	each int64 // ns between rounds
	most int   // rounds that pass
	want Flood
}{
	{"rapid reset: the 250th premature stream of a possible 500 is the last", func(a *Floods, _ int64) error {
		a.Opened()
		return a.Closed(1e6, false)
	}, 1e3, 249, FloodPremature},
	{"made you reset: the same, whoever sent RST_STREAM", func(a *Floods, now int64) error {
		a.Opened()
		if err := a.Frame(&Frame{Type: FrameWindowUpdate, Stream: 1}, now); err != nil {
			return err
		}
		return a.Closed(1e6, false)
	}, 1e3, 249, FloodPremature},
	{"every second stream is reset early", func(a *Floods, _ int64) error {
		a.Opened()
		a.Opened()
		if err := a.Closed(1e6, true); err != nil {
			return err
		}
		return a.Closed(1e6, false)
	}, 1e3, 249, FloodPremature},
	{"empty CONTINUATION", func(a *Floods, now int64) error {
		return a.Frame(&Frame{Type: FrameContinuation, Stream: 1}, now)
	}, 1e3, 1, FloodEmpty},
	{"CONTINUATION of one byte", func(a *Floods, now int64) error {
		return a.Frame(&Frame{Type: FrameContinuation, Stream: 1, Payload: []byte("x")}, now)
	}, 1e3, 512, FloodContinuation},
	{"empty DATA", func(a *Floods, now int64) error {
		return a.Frame(&Frame{Type: FrameData, Stream: 1}, now)
	}, 1e3, 1, FloodEmpty},
	{"DATA of padding alone", func(a *Floods, now int64) error {
		return a.Frame(&Frame{Type: FrameData, Stream: 1, Flags: FlagPadded, Payload: []byte("\x01x")}, now)
	}, 1e3, 1, FloodEmpty},
	{"empty HEADERS", func(a *Floods, now int64) error {
		return a.Frame(&Frame{Type: FrameHeaders, Stream: 1}, now)
	}, 1e3, 1, FloodEmpty},
	{"PRIORITY without a stream", func(a *Floods, now int64) error {
		return a.Frame(&Frame{Type: FramePriority, Stream: 1, Payload: make([]byte, 5)}, now)
	}, 1e3, 100, FloodPriority},
	{"a type that is not known", func(a *Floods, now int64) error {
		return a.Frame(&Frame{Type: 0xfb}, now)
	}, 1e3, 100, FloodPriority},
	{"WINDOW_UPDATE without a stream", func(a *Floods, now int64) error {
		return a.Frame(&Frame{Type: FrameWindowUpdate}, now)
	}, 1e3, 5, FloodWindowUpdate},
	{"PING as fast as they come", func(a *Floods, now int64) error {
		return a.Frame(&Frame{Type: FramePing, Payload: make([]byte, 8)}, now)
	}, 1e3, 1000, FloodControl},
	{"SETTINGS as fast as they come", func(a *Floods, now int64) error {
		return a.Frame(&Frame{Type: FrameSettings}, now)
	}, 1e3, 1000, FloodControl},
	{"RST_STREAM for streams that are no more", func(a *Floods, now int64) error { return a.Stray(now) }, 1e3, 1000, FloodControl},
	{"heads that are a little too large", func(a *Floods, now int64) error { return a.Oversize(70<<10, 60<<10, now) }, 1e3, 1000, FloodControl},
	{"heads of ten thousand times 4 KiB", func(a *Floods, now int64) error { return a.Oversize(40<<20, 60<<10, now) }, 1e3, 1, FloodControl},
	{"PING of which no answer is read", func(a *Floods, _ int64) error { return a.Queued(true) }, 1e3, 1000, FloodOutboundControl},
	{"DATA that is not read", func(a *Floods, _ int64) error { return a.Queued(false) }, 1e3, 10000, FloodOutbound},
}

func TestFloods(t *testing.T) {
	for _, c := range attacks {
		t.Run(c.name, func(t *testing.T) {
			lim := DefaultFloodLimits()
			var a Floods
			now := int64(12345)
			a.Init(&lim, now)
			rounds := 0
			for {
				err := c.step(&a, now)
				if err != nil {
					e, ok := err.(*Error)
					if !ok || e.Code != EnhanceYourCalm || e.Stream != 0 || FloodOf(err) != c.want {
						t.Fatal(err)
					}
					break
				}
				if rounds++; rounds > 100000 {
					t.Fatal("no end")
				}
				now += c.each
			}
			if rounds != c.most {
				t.Errorf("%d rounds passed, want %d", rounds, c.most)
			}
		})
	}
}

// TestHonestPeers goes on for long and is never refused.
func TestHonestPeers(t *testing.T) {
	peers := map[string]func(a *Floods, now int64) error{
		"gRPC: a window update and a ping for each DATA, two settings at times": func(a *Floods, now int64) error {
			a.DataSent(10)
			if err := a.Frame(&Frame{Type: FrameWindowUpdate}, now); err != nil {
				return err
			}
			if err := a.Frame(&Frame{Type: FrameWindowUpdate, Stream: 1}, now); err != nil {
				return err
			}
			return a.Frame(&Frame{Type: FramePing}, now)
		},
		"a browser: PRIORITY for each stream, some cancelled": func(a *Floods, now int64) error {
			a.Opened()
			if err := a.Frame(&Frame{Type: FramePriority, Stream: 1}, now); err != nil {
				return err
			}
			return a.Closed(5e6, now/1e5%3 != 0)
		},
		"a poller that gives up after two seconds": func(a *Floods, _ int64) error {
			a.Opened()
			return a.Closed(2e9, false)
		},
		"an empty DATA before each full one": func(a *Floods, now int64) error {
			if err := a.Frame(&Frame{Type: FrameData}, now); err != nil {
				return err
			}
			return a.Frame(&Frame{Type: FrameData, Payload: []byte("x")}, now)
		},
		"a reader that keeps up": func(a *Floods, now int64) error {
			if now/1e5%100 == 0 {
				a.Flushed()
			}
			return a.Queued(true)
		},
		"net/http: frames of 1 MiB, both windows given back for each 4 KiB": func(a *Floods, now int64) error {
			if now/1e5%256 == 0 {
				a.DataSent(1 << 20)
			}
			if err := a.Frame(&Frame{Type: FrameWindowUpdate}, now); err != nil {
				return err
			}
			return a.Frame(&Frame{Type: FrameWindowUpdate, Stream: 1}, now)
		},
		"keep-alive every 50 ms": func(a *Floods, now int64) error {
			if now/1e5%500 != 0 {
				return nil
			}
			return a.Frame(&Frame{Type: FramePing}, now)
		},
	}
	for name, step := range peers {
		t.Run(name, func(t *testing.T) {
			lim := DefaultFloodLimits()
			var a Floods
			a.Init(&lim, 0)
			for now := int64(0); now < 60e9; now += 1e5 {
				if err := step(&a, now); err != nil {
					t.Fatalf("after %v ms: %v", now/1e6, err)
				}
			}
		})
	}
}
