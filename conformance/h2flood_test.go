package conformance

// The floods of HTTP/2: what each does to the one who sends it, to others, and to the host behind.

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// attacker is one connection of HTTP/2 that keeps to no rule.
type attacker struct {
	*http2.Framer
	conn   net.Conn
	sent   atomic.Int64 // bytes
	packed bytes.Buffer
	pack   *hpack.Encoder
	stream uint32
	ended  chan string // how the connection ended: GOAWAY's code, "closed"
}

// attack connects; the peer's frames are read, or with deaf they are not.
func attack(t *testing.T, addr string, deaf bool) *attacker {
	t.Helper()
	a, err := dialAttacker(addr, deaf, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.conn.Close() })
	return a
}

// dialAttacker is attack that can be called from anywhere. With a batch, frames go out that many bytes at a time, which
// costs the attacker less than one by one.
func dialAttacker(addr string, deaf bool, batch int) (*attacker, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	a := &attacker{conn: conn, stream: 1, ended: make(chan string, 1)}
	a.Framer = http2.NewFramer(bufio.NewWriterSize(a, batch), conn)
	if batch == 0 {
		a.Framer = http2.NewFramer(a, conn)
	}
	a.AllowIllegalWrites, a.AllowIllegalReads = true, true
	a.pack = hpack.NewEncoder(&a.packed)
	_, err = io.WriteString(conn, http2.ClientPreface)
	if err = errors.Join(err, a.WriteSettings(), a.WriteWindowUpdate(0, 1<<30)); err != nil {
		conn.Close()
		return nil, err
	}
	if !deaf {
		go a.listen()
	}
	return a, nil
}

// Write sends what the framer has made.
func (a *attacker) Write(p []byte) (int, error) {
	n, err := a.conn.Write(p)
	a.sent.Add(int64(n))
	return n, err
}

// listen reads to the end.
func (a *attacker) listen() {
	how := "closed"
	for {
		f, err := a.ReadFrame()
		if err != nil {
			a.ended <- how
			return
		}
		if g, ok := f.(*http2.GoAwayFrame); ok && g.ErrCode != http2.ErrCodeNo {
			how = g.ErrCode.String() + " " + string(g.DebugData())
		}
	}
}

// head is a request's block; more are fields.
func (a *attacker) head(more ...string) []byte {
	a.packed.Reset()
	for i, all := 0, append([]string{":method", "POST", ":scheme", "http", ":path", "/flood", ":authority", "flood"}, more...); i < len(all); i += 2 {
		_ = a.pack.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]})
	}
	return a.packed.Bytes()
}

// open begins the next stream and gives its number.
func (a *attacker) open(end bool, more ...string) (uint32, error) {
	id := a.stream
	a.stream += 2
	return id, a.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: a.head(more...), EndHeaders: true, EndStream: end})
}

// flood is one attack: step is done again and again until the connection does not take it.
type flood struct {
	name string
	deaf bool // does not read what it is answered
	step func(a *attacker) error
	want string // GOAWAY's code, where one can be read
}

func then(_ uint32, err error) error { return err }

func floods() []flood {
	calm := http2.ErrCodeEnhanceYourCalm.String()
	large := strings.Repeat("x", 3800)
	return []flood{
		{"rapid reset", false, func(a *attacker) error {
			id, err := a.open(true)
			return errors.Join(err, a.WriteRSTStream(id, http2.ErrCodeCancel))
		}, calm},
		{"made you reset: WINDOW_UPDATE by 0", false, func(a *attacker) error {
			id, err := a.open(true)
			return errors.Join(err, a.WriteWindowUpdate(id, 0))
		}, calm},
		{"made you reset: DATA behind the end", false, func(a *attacker) error {
			id, err := a.open(true)
			return errors.Join(err, a.WriteData(id, true, []byte("x")))
		}, calm},
		{"made you reset: a window of more than 2^31-1", false, func(a *attacker) error {
			id, err := a.open(true)
			return errors.Join(err, a.WriteWindowUpdate(id, 1<<31-1))
		}, calm},
		{"made you reset: PRIORITY on itself", false, func(a *attacker) error {
			id, err := a.open(true)
			return errors.Join(err, a.WritePriority(id, http2.PriorityParam{StreamDep: id}))
		}, calm},
		{"made you reset: a malformed head", false, func(a *attacker) error { return then(a.open(true, "Upper", "x")) }, http2.ErrCodeProtocol.String()}, // at once, as Envoy by default
		{"CONTINUATION without end", false, func(a *attacker) error {
			if a.stream == 1 {
				a.stream = 3
				if err := a.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: a.head()}); err != nil {
					return err
				}
			}
			return a.WriteContinuation(1, false, []byte("\x00\x01a\x01b"))
		}, calm},
		{"empty CONTINUATION without end", false, func(a *attacker) error {
			if a.stream == 1 {
				a.stream = 3
				if err := a.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: a.head()}); err != nil {
					return err
				}
			}
			return a.WriteContinuation(1, false, nil)
		}, calm},
		{"HPACK bombs", false, func(a *attacker) error {
			id := a.stream
			a.stream += 2
			block := append(bytes.Clone(a.head("bomb", large)), bytes.Repeat([]byte{0xbe}, 10000)...)
			return a.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: true})
		}, calm},
		{"cookie crumbs", false, func(a *attacker) error {
			return then(a.open(true, slices.Repeat([]string{"cookie", "a=b"}, 1000)...))
		}, calm},
		{"names of no length", false, func(a *attacker) error {
			return then(a.open(true, slices.Repeat([]string{"", ""}, 90)...))
		}, http2.ErrCodeProtocol.String()},
		{"SETTINGS", false, func(a *attacker) error {
			return a.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 5})
		}, calm},
		{"PING", false, func(a *attacker) error { return a.WritePing(false, [8]byte{}) }, calm},
		{"PING, answers unread", true, func(a *attacker) error { return a.WritePing(false, [8]byte{}) }, ""},
		{"PRIORITY", false, func(a *attacker) error { return a.WritePriority(99, http2.PriorityParam{StreamDep: 1}) }, calm},
		{"WINDOW_UPDATE", false, func(a *attacker) error { return a.WriteWindowUpdate(0, 1) }, calm},
		{"empty DATA", false, func(a *attacker) error {
			if a.stream == 1 {
				return then(a.open(false))
			}
			return a.WriteData(1, false, nil)
		}, calm},
		{"RST_STREAM on a stream that is no more", false, func(a *attacker) error {
			if a.stream == 1 {
				return then(a.open(true))
			}
			return a.WriteRSTStream(1, http2.ErrCodeCancel)
		}, calm},
	}
}

// floodHost is slow, and counts.
type floodHost struct{ flooded atomic.Int64 }

func (h *floodHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/flood" {
		_, _ = io.WriteString(w, "well")
		return
	}
	h.flooded.Add(1)
	select {
	case <-r.Context().Done():
	case <-time.After(5 * time.Second):
	}
}

// TestFloods: the connection is gone within two seconds, at most 250 requests reached the host, and who keeps to the
// rules on another connection is served all the while.
func TestFloods(t *testing.T) {
	host := &floodHost{}
	s := startH2(t, startUpstream(t, host), true)
	for _, f := range floods() {
		t.Run(f.name, func(t *testing.T) {
			before := host.flooded.Load()
			served := others(t, s)
			a := attack(t, s.web, f.deaf)
			began, steps := time.Now(), 0
			for ; ; steps++ {
				if err := f.step(a); err != nil {
					break
				}
				if time.Since(began) > 5*time.Second {
					t.Fatalf("%d steps in 5 s and no end", steps)
				}
			}
			lasted := time.Since(began)
			if lasted > 2*time.Second {
				t.Errorf("it lasted %v", lasted)
			}
			how := "unread"
			if !f.deaf {
				how = <-a.ended
				// A reset may overtake GOAWAY where the attacker still sends.
				if !strings.HasPrefix(how, f.want) && how != "closed" {
					t.Errorf("ended with %s", how)
				}
			}
			slowest := served()
			if n := host.flooded.Load() - before; n > 250 {
				t.Errorf("%d requests reached the host", n)
			}
			t.Logf("%d steps, gone in %v (%s), %d requests at the host, others' slowest %v", steps, lasted.Round(time.Millisecond), how, host.flooded.Load()-before, slowest.Round(time.Millisecond))
		})
	}
}

// others makes requests until it is asked how slow the slowest was.
func others(t *testing.T, s *sidecar) (slowest func() time.Duration) {
	t.Helper()
	client := h2Client(t, true)
	stop, done := make(chan struct{}), make(chan struct{})
	var most time.Duration
	var problem error
	go func() {
		defer close(done)
		for {
			began := time.Now()
			response, err := client.Get("http://" + s.web + "/other")
			if err == nil {
				var text string
				if text, err = body(response.Body); err == nil && text != "well" {
					err = fmt.Errorf("%s %q", response.Status, text)
				}
			}
			if err != nil {
				problem = err
				return
			}
			most = max(most, time.Since(began))
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	return func() time.Duration {
		close(stop)
		<-done
		if problem != nil {
			t.Error("others:", problem)
		}
		if most > time.Second {
			t.Errorf("others waited %v", most)
		}
		return most
	}
}
