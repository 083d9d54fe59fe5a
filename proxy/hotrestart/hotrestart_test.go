package hotrestart

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// old is a process that can be taken over from; what happens to it is told by events.
type old struct {
	*Server
	name   string
	events chan string
}

func newOld(t *testing.T, sockets ...Socket) *old {
	t.Helper()
	o := &old{name: filepath.Join(t.TempDir(), "old"), events: make(chan string, 16)}
	var err error
	o.Server, err = Listen(Options{
		Name: o.name, Mode: 0o600, Epoch: 4, Generation: 7, Started: time.Unix(1000, 0), Admin: "127.0.0.1:9901",
		Sockets: func() ([]Socket, error) { return sockets, nil },
		Coming: func(who string) {
			who, _, _ = strings.Cut(who, ",")
			o.events <- "comes " + who
		},
		TakeOver: func(_ string, d time.Duration) []Socket {
			o.events <- "taken over " + d.String()
			return []Socket{{Key: "admin", FDs: pipes(t, 1)}}
		},
		Figures:   func() map[string]uint64 { return map[string]uint64{"a.b": 3} },
		Terminate: func() { o.events <- "terminated" },
		Log:       slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *old) expect(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-o.events:
		if got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("nothing happens; want %q", want)
	}
}

// pipes makes file descriptors; what they are is no business of this package.
func pipes(t *testing.T, n int) (fds []int) {
	t.Helper()
	for range n {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		unix.Close(p[1])
		fds = append(fds, p[0])
	}
	return fds
}

func TestTakeOver(t *testing.T) {
	const many = 2*maxFDs + 3
	o := newOld(t, Socket{"127.0.0.1:80", pipes(t, 2)}, Socket{"many", pipes(t, many)})
	p, err := Dial(o.name, 5)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	o.expect(t, "comes epoch 5")
	if p.Generation() != 7 || !p.Started().Equal(time.Unix(1000, 0)) || p.Admin() != "127.0.0.1:9901" || p.PID() != os.Getpid() {
		t.Errorf("it is %+v", p.about)
	}
	got := map[string]int{}
	take := func(key string, fds []int) {
		got[key] += len(fds)
		closeAll(fds)
	}
	if err := p.Sockets(take); err != nil {
		t.Fatal(err)
	}
	if err := p.TakeOver(9*time.Second, take); err != nil {
		t.Fatal(err)
	}
	o.expect(t, "taken over 9s")
	if want := map[string]int{"127.0.0.1:80": 2, "many": many, "admin": 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("taken: %v, want %v", got, want)
	}
	if err := p.Terminate(); err != nil {
		t.Fatal(err)
	}
	o.expect(t, "terminated")
	go o.Close()
	figures := map[string]uint64{}
	p.Figures(func(some map[string]uint64) { figures["a.b"] = some["a.b"] })
	if figures["a.b"] != 3 {
		t.Errorf("figures: %v", figures)
	}
	if _, err := os.Stat(o.name); err == nil {
		t.Error("the socket's path is left")
	}
}

// TestGoneBefore: who goes before it takes over is forgotten, and may come again.
func TestGoneBefore(t *testing.T) {
	o := newOld(t)
	defer o.Close()
	for range 2 {
		p, err := Dial(o.name, 5)
		if err != nil {
			t.Fatal(err)
		}
		o.expect(t, "comes epoch 5")
		p.Close()
		o.expect(t, "comes ")
	}
}

func TestTwoAtOneName(t *testing.T) {
	o := newOld(t)
	defer o.Close()
	if _, err := Listen(o.o); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second one: %v", err)
	}
}

func TestNobody(t *testing.T) {
	if _, err := Dial(filepath.Join(t.TempDir(), "nobody"), 1); !errors.Is(err, ErrNone) {
		t.Errorf("error %v", err)
	}
}

// TestStrangers: what does not speak the protocol is not spoken with, by either, and the
// next one is.
func TestStrangers(t *testing.T) {
	packet := func(magic uint32, version, kind uint16, text string) []byte {
		b := binary.BigEndian.AppendUint32(nil, magic)
		b = binary.BigEndian.AppendUint16(b, version)
		return append(binary.BigEndian.AppendUint16(b, kind), text...)
	}
	for name, test := range map[string]struct {
		packet []byte
		why    string
	}{
		"short":   {[]byte("x"), "does not speak"},
		"magic":   {packet(1, Version, uint16(hello), "{}"), "does not speak"},
		"version": {packet(magic, Version+1, uint16(hello), "{}"), "another version of the protocol: 2, not 1"},
		"kind":    {packet(magic, Version, uint16(end), "{}"), "sent a message"},
		"json":    {packet(magic, Version, uint16(hello), "{"), "JSON"},
		"long":    {packet(magic, Version, uint16(hello), strings.Repeat(" ", maxMessage)), "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOld(t)
			defer o.Close()
			c, err := net.Dial("unixpacket", o.name)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write(test.packet); err != nil {
				t.Fatal(err)
			}
			p, err := Dial(o.name, 5)
			if err != nil {
				t.Fatalf("after a stranger: %v", err)
			}
			p.Close()

			at := filepath.Join(t.TempDir(), "strange")
			l, err := net.Listen("unixpacket", at)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				if c, err := l.Accept(); err == nil {
					defer c.Close()
					_, _ = c.Write(test.packet)
					_, _ = c.Read(make([]byte, 100))
				}
			}()
			if _, err := Dial(at, 5); err == nil || !strings.Contains(err.Error(), test.why) {
				t.Errorf("a strange parent: %v, want %q", err, test.why)
			}
		})
	}
}
