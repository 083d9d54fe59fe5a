// Package stream keeps one gRPC stream to a control plane open: it dials the
// servers in turn, waits between rounds, and says what comes.
//
//	dial (TLS files read now) ─▶ Opened ─▶ Received … ─▶ Ended ─▶ wait, next server
//	                                ▲ send
//
// It does not know what the messages mean.
package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Options say where a stream goes and how. All have to be set but for what
// says otherwise.
type Options struct {
	// Servers are tried in turn, beginning with the first; after a stream has
	// ended, the next one is tried, so that a list is used evenly. At least one.
	Servers []Server
	// Look, unless it is nil, lists them at the beginning of each round, in place of
	// Servers. It may wait for a file. From the goroutine of Run.
	Look func() ([]Server, error)
	// Method is the full gRPC method, "/package.Service/Method".
	Method string
	// Response makes an empty message to receive into.
	Response func() proto.Message
	// MaxAge bounds a stream's life, less up to a tenth at random; 0: no bound.
	// Where a name stands for several control planes, sidecars spread over them
	// again and again.
	MaxAge time.Duration
}

// The waits between rounds are full-jitter exponential: the nth is uniform in
// [0, min(MaxWait, BaseWait·2ⁿ)); a stream that brought a message starts again at
// n = 0 (Envoy's are 500 ms and 30 s too, config/subscription_factory.h).
const (
	BaseWait = 500 * time.Millisecond
	MaxWait  = 30 * time.Second
)

// silence is how long a stream may be open without a first message while there
// are other servers to try.
const silence = 15 * time.Second

// maxQueued bounds requests that the server does not take.
const maxQueued = 4096

// Handler hears of a stream, from the goroutine of Run, one call at a time.
type Handler interface {
	// Opened: a stream to the server so called is open. send queues messages for
	// it, in order, without waiting; after Ended it does nothing. One goroutine at
	// a time.
	Opened(server string, send func([]proto.Message))
	// Received: a message came. The next one is read when it returns.
	Received(m proto.Message)
	// Ended: the stream, or the attempt to open one, is over. opened says which;
	// err is never nil; the next attempt comes in wait.
	Ended(opened bool, err error, wait time.Duration)
}

// errAged ends a stream that has lived long enough.
var errAged = errors.New("the connection reached its greatest age")

// ErrQuiet is the end of a stream that a server closed in good order, or that
// was old enough: nothing is wrong.
var ErrQuiet = errors.New("closed in good order")

// Run keeps a stream open until ctx is done.
func Run(ctx context.Context, o Options, h Handler) {
	s := &keeper{o}
	for n, tried := 0, 0; ctx.Err() == nil; {
		if err := s.look(&tried); err != nil {
			wait := jitter(n)
			n++
			h.Ended(false, err, wait)
			sleep(ctx, wait)
			continue
		}
		server := &s.o.Servers[tried%len(s.o.Servers)]
		tried++
		brought, opened, err := s.once(ctx, server, h)
		if ctx.Err() != nil {
			return
		}
		var wait time.Duration
		switch {
		case brought:
			n = 0
			wait = jitter(0)
		case tried%len(s.o.Servers) == 0 || opened:
			wait = jitter(n)
			n++
		}
		h.Ended(opened, fmt.Errorf("%s: %w", server.Name, err), wait)
		sleep(ctx, wait)
	}
}

// keeper is one Run.
type keeper struct{ o Options }

// look lists the servers anew if a round begins.
func (s *keeper) look(tried *int) error {
	if s.o.Look == nil || len(s.o.Servers) > 0 && *tried < len(s.o.Servers) {
		return nil
	}
	servers, err := s.o.Look()
	if err == nil {
		s.o.Servers, *tried = servers, 0
	}
	return err
}

// jitter is the nth wait.
func jitter(n int) time.Duration {
	most := MaxWait
	if n < 6 {
		most = min(MaxWait, BaseWait<<n)
	}
	return rand.N(most)
}

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// once opens a stream and serves it to its end. brought: it brought a message.
func (s *keeper) once(ctx context.Context, server *Server, h Handler) (brought, opened bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	conn, err := server.dial()
	if err != nil {
		return false, false, err
	}
	defer conn.Close()
	client, err := server.open(ctx, cancel, conn, s.o.Method)
	if err != nil {
		return false, false, reason(ctx, err)
	}
	out := newOutbox(cancel)
	sending := make(chan struct{})
	go func() {
		defer close(sending)
		out.drain(ctx, client)
	}()
	defer func() {
		cancel(nil)
		<-sending
	}()
	h.Opened(server.Name, out.put)
	defer s.expire(cancel)()
	brought, err = s.receive(client, cancel, h)
	return brought, true, reason(ctx, err)
}

// expire ends the stream when it is old enough.
func (s *keeper) expire(cancel context.CancelCauseFunc) (stop func()) {
	if s.o.MaxAge <= 0 {
		return func() {}
	}
	t := time.AfterFunc(s.o.MaxAge-rand.N(s.o.MaxAge/10+1), func() { cancel(errAged) })
	return func() { t.Stop() }
}

func (s *keeper) receive(client grpc.ClientStream, cancel context.CancelCauseFunc, h Handler) (brought bool, err error) {
	if len(s.o.Servers) > 1 {
		t := time.AfterFunc(silence, func() { cancel(fmt.Errorf("said nothing for %s", silence)) })
		defer t.Stop()
		defer func() { t.Stop() }()
		m := s.o.Response()
		if err := client.RecvMsg(m); err != nil {
			return false, err
		}
		t.Stop()
		h.Received(m)
		brought = true
	}
	for {
		m := s.o.Response()
		if err := client.RecvMsg(m); err != nil {
			return brought, err
		}
		brought = true
		h.Received(m)
	}
}

// reason tells why a stream ended: our own reason if we ended it.
func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
		err = cause
	}
	if errors.Is(err, io.EOF) || errors.Is(err, errAged) {
		return fmt.Errorf("%w (%w)", ErrQuiet, err)
	}
	return err
}
