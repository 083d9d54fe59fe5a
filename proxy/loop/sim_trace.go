package loop

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/bits"
	"regexp"
	"syscall"
	"time"
)

// What a simulated run leaves behind: a hash over every call and byte, lines
// for a reader if asked, and logs with virtual time.

type trace struct {
	hash uint64
	out  io.Writer
}

// What is traced.
const (
	opTurn = iota
	opEvent
	opListen
	opAccept
	opConnect
	opRead
	opWrite
	opShutdown
	opClose
)

var opNames = [...]string{"turn", "event", "listen", "accept", "connect", "read", "write", "shutdown", "close"}

// TraceHash is a hash over everything that the workers asked of the network and
// got from it, with its time: two runs that agree in it were the same.
func (s *Sim) TraceHash() uint64 { return s.trace.hash }

// SetTrace writes a line for every call to out from now on (nil: no more).
func (s *Sim) SetTrace(out io.Writer) { s.trace.out = out }

func (t *trace) mix(v uint64) {
	t.hash = bits.RotateLeft64(t.hash^v*0x9e3779b97f4a7c15, 29) * 0xbf58476d1ce4e5b9
}

// note traces one call.
func (s *Sim) note(k *simKernel, op, fd, n int) {
	s.trace.mix(uint64(s.now))
	s.trace.mix(uint64(k.w.ID)<<40 | uint64(op)<<32 | uint64(uint32(fd)))
	s.trace.mix(uint64(n))
	if s.trace.out != nil && op != opTurn {
		s.traceLine(k, op, fd, fmt.Sprint(n))
	}
}

// noteBytes traces a read or write with what it moved.
func (s *Sim) noteBytes(k *simKernel, op, fd int, p []byte, errno syscall.Errno) {
	s.trace.mix(uint64(s.now))
	s.trace.mix(uint64(k.w.ID)<<40 | uint64(op)<<32 | uint64(uint32(fd)))
	s.trace.mix(uint64(len(p))<<16 | uint64(errno))
	if s.trace.out != nil && (len(p) > 0 || errno != 0 || op == opRead) {
		what := fmt.Sprintf("%q", p[:min(len(p), 64)])
		if errno != 0 {
			what = errno.Error()
		}
		s.traceLine(k, op, fd, fmt.Sprintf("%d %s", len(p), what))
	}
	for len(p) >= 8 {
		s.trace.mix(binary.LittleEndian.Uint64(p))
		p = p[8:]
	}
	var rest [8]byte
	copy(rest[:], p)
	s.trace.mix(binary.LittleEndian.Uint64(rest[:]))
}

func (s *Sim) traceLine(k *simKernel, op, fd int, what string) {
	fmt.Fprintf(s.trace.out, "%12v %-10s %-8s fd %d: %s\n", s.Now(), k.name, opNames[op], fd, what)
}

// logger makes what is logged the same in every run of a seed.
func (s *Sim) logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(simLog{l.Handler(), s, regexp.MustCompile(`0x[0-9a-f]+\??|goroutine \d+`)})
}

// simLog puts virtual time in place of real time and takes addresses out of
// stacks.
type simLog struct {
	slog.Handler
	s       *Sim
	chances *regexp.Regexp
}

// Handle is slog.Handler's.
func (h simLog) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(time.Unix(0, 0).UTC().Add(h.s.Now()), r.Level, r.Message, 0)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "stack" {
			a.Value = slog.StringValue(h.chances.ReplaceAllString(a.Value.String(), "…"))
		}
		out.AddAttrs(a)
		return true
	})
	return h.Handler.Handle(ctx, out)
}

// WithAttrs is slog.Handler's.
func (h simLog) WithAttrs(as []slog.Attr) slog.Handler {
	return simLog{h.Handler.WithAttrs(as), h.s, h.chances}
}

// WithGroup is slog.Handler's.
func (h simLog) WithGroup(name string) slog.Handler {
	return simLog{h.Handler.WithGroup(name), h.s, h.chances}
}
