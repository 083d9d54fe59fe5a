package loop

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// The simulator is worth as much as it is like Linux: the same calls are made
// on both kernels and must tell the same.

// rig runs a script of calls on one kernel; a is the side that dialled, b the
// one that accepted, l the listener.
type rig struct {
	t       testing.TB
	k       kernel
	advance func() // virtual time, until nothing is under way
	addr    config.Address
	l, a, b int
	masks   map[int32]uint32 // by mark, since the last events
	said    strings.Builder
}

// calls is the script's steps, one word each: a side and what it does.
func (r *rig) run(calls string) string {
	r.masks = map[int32]uint32{}
	l, at, err := r.k.listen(r.addr, ListenOptions{})
	must(r.t, err)
	r.l = l
	if errno := r.k.register(l, 1, true); errno != 0 {
		r.t.Fatal(errno)
	}
	fd, errno := r.k.connect(at, config.Keepalive{}, nil)
	if errno != 0 && errno != syscall.EINPROGRESS {
		r.t.Fatal(errno)
	}
	r.a = fd
	r.k.register(fd, 2, false)
	for _, call := range strings.Fields(calls) {
		r.step(call)
	}
	return r.said.String()
}

func (r *rig) step(call string) {
	r.advance()
	if call == "events" {
		r.events()
		return
	}
	side, what, _ := strings.Cut(call, ".")
	fd := map[string]int{"a": r.a, "b": r.b, "l": r.l}[side]
	fmt.Fprintf(&r.said, "%s:", call)
	defer r.said.WriteString("\n")
	switch what {
	case "accept":
		var errno syscall.Errno
		r.b, _, errno = r.k.accept(r.l)
		r.tell(errno)
		r.k.register(r.b, 3, false)
	case "read":
		p := make([]byte, 16)
		n, errno := r.k.read(fd, p)
		fmt.Fprintf(&r.said, " %q", p[:n])
		r.tell(errno)
	case "write":
		_, errno := r.k.write(fd, []byte("hello"))
		r.tell(errno)
	case "fill":
		for n, last := 0, -1; n != last; { // until both sides' buffers are full
			for last = n; ; n++ {
				if _, errno := r.k.write(fd, make([]byte, 1<<20)); errno != 0 {
					break
				}
			}
			r.wait()
		}
		clear(r.masks)
	case "drain":
		for {
			if _, errno := r.k.read(fd, make([]byte, 64<<10)); errno != 0 {
				r.tell(errno)
				return
			}
			r.wait() // more may come
			delete(r.masks, 3)
		}
	case "shutdown":
		r.tell(r.k.shutdownWrite(fd))
	case "error":
		r.tell(r.k.socketError(fd))
	case "close":
		r.k.close(fd, false)
	case "reset":
		r.k.close(fd, true)
	default:
		r.t.Fatalf("no such call: %s", call)
	}
}

func (r *rig) tell(errno syscall.Errno) {
	if errno != 0 {
		fmt.Fprintf(&r.said, " %v", errno)
	}
}

// wait gathers what is said of each socket until it is quiet.
func (r *rig) wait() {
	var evs [16]event
	for {
		r.advance()
		n := r.k.wait(evs[:], int64(2*time.Millisecond))
		if n == 0 {
			return
		}
		for _, ev := range evs[:n] {
			r.masks[ev.Pad] |= ev.Events
		}
	}
}

func (r *rig) events() {
	r.wait()
	for i, name := range []string{"l", "a", "b"} {
		m := r.masks[int32(i+1)]
		if m == 0 {
			continue
		}
		fmt.Fprintf(&r.said, "  %s", name)
		for _, bit := range []struct {
			mask uint32
			name string
		}{{evIn, "IN"}, {evOut, "OUT"}, {evRDHup, "RDHUP"}, {evErr, "ERR"}, {evHup, "HUP"}} {
			if m&bit.mask != 0 {
				r.said.WriteString(" " + bit.name)
			}
		}
	}
	r.said.WriteString("\n")
	clear(r.masks)
}

func TestSimAgreesWithLinux(t *testing.T) {
	open := "events l.accept events "
	scripts := []struct{ name, calls string }{
		{"connect and accept", open + "a.read b.read"},
		{"close", open + "b.close events a.read a.error a.write events a.write a.write a.read"},
		{"close unread", open + "a.write events b.close events a.error a.read a.write"},
		{"close unread, read", open + "a.write events b.close events a.read a.read a.write"},
		{"close unread, write", open + "a.write events b.close events a.write a.read a.write"},
		{"write and close", open + "b.write b.close events a.read a.read"},
		{"reset, read", open + "b.write events b.reset events a.read a.read a.read a.write"},
		{"reset, write", open + "b.reset events a.write a.write a.read a.error"},
		{"reset, error", open + "b.reset events a.error a.error a.read"},
		{"half-close", open + "a.shutdown events b.read b.write events a.read a.write b.shutdown events a.read b.read b.write"},
		{"half-close and close", open + "a.shutdown events b.close events a.read a.write"},
		{"end, then write", open + "b.close events a.read a.write events a.read a.error a.write"},
		{"end, then reset", open + "b.write b.shutdown events b.reset events a.read a.read a.write a.write"},
		{"both ends, then reset", open + "a.shutdown b.shutdown events b.reset events a.read a.write"},
		{"fill and drain", open + "a.fill events b.drain events a.write events b.read"},
		{"listener closes", "events l.close events a.read a.write"},
		{"speaks first", "l.accept b.write b.close events a.read a.read"},
		{"reset in the queue", "events a.reset events l.accept events b.read b.write"},
		{"end in the queue", "events a.write a.close events l.accept events b.read b.read b.write events b.write"},
		{"accept nothing", "l.accept l.accept"},
	}
	for _, script := range scripts {
		for _, family := range []string{"tcp", "unix"} {
			t.Run(script.name+" "+family, func(t *testing.T) {
				addr := at("127.0.0.1:0")
				if family == "unix" {
					addr = config.Address{Path: filepath.Join(t.TempDir(), "s")}
				}
				k, err := newLinux()
				must(t, err)
				defer k.release()
				real := &rig{t: t, k: k, addr: addr, advance: func() {}}
				want := real.run(script.calls)
				for _, fd := range []int{real.l, real.a, real.b} {
					if fd > 0 {
						k.close(fd, true) // those that the script has closed give EBADF
					}
				}
				s := NewSim(1, nil)
				defer s.Close()
				sim := &rig{t: t, k: s.Worker("rig").k, addr: addr, advance: func() {
					for at, ok := s.heap.first(); ok; at, ok = s.heap.first() {
						s.advance(at)
					}
				}}
				if got := sim.run(script.calls); got != want {
					t.Errorf("simulator:\n%s\nLinux:\n%s", got, want)
				}
			})
		}
	}
}
