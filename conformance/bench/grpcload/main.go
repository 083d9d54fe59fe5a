// Command grpcload is the load of the bench's gRPC rows: grpc-go's client, with calls in a closed loop on each
// connection, every reply checked. A call is unary, or a bidirectional stream of many messages, of which a
// window is in flight.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/attache-mesh/attache/conformance/bench/load"
)

const (
	stall  = 20 * time.Second // a call that takes longer is an error
	window = 100              // messages of a stream in flight
	size   = 100              // bytes of a message
)

// options are the command line.
type options struct {
	target                   string
	conns, streams, messages int
	duration                 time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.target, "target", "", "address to connect to (ip:port)")
	flag.IntVar(&o.conns, "conns", 10, "connections")
	flag.IntVar(&o.streams, "streams", 100, "calls in flight on each")
	flag.IntVar(&o.messages, "messages", 1, "messages each way on a call: 1 is unary")
	flag.DurationVar(&o.duration, "duration", 2*time.Second, "how long to begin calls")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	report, err := run(o)
	if err == nil {
		err = report.Write(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "grpcload:", err)
		os.Exit(1)
	}
}

// tally is what one loop counted.
type tally struct {
	messages  uint64
	latencies load.Histogram
	err       error
}

func run(o options) (load.Report, error) {
	ctx, cancel := context.WithTimeout(context.Background(), o.duration+stall)
	defer cancel()
	var conns []*grpc.ClientConn
	for range o.conns {
		conn, err := grpc.NewClient("passthrough:///"+o.target, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(load.Raw{})))
		if err != nil {
			return load.Report{}, err
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	call := unary
	if o.messages > 1 {
		call = o.stream
	}
	tallies := make(chan *tally)
	start := time.Now()
	until := start.Add(o.duration)
	for i := range o.conns * o.streams {
		go func() {
			t := &tally{}
			message := bytes.Repeat(fmt.Appendf(nil, "%04d", i), size/4)
			for t.err == nil && time.Now().Before(until) {
				t.err = call(ctx, conns[i%o.conns], message, t)
			}
			tallies <- t
		}()
	}
	var sum tally
	var problems []error
	for range o.conns * o.streams {
		t := <-tallies
		sum.messages += t.messages
		sum.latencies.Merge(&t.latencies)
		problems = append(problems, t.err)
	}
	report := load.Measured(sum.messages, sum.messages*size, time.Since(start), &sum.latencies)
	return report, errors.Join(problems...)
}

func unary(ctx context.Context, conn *grpc.ClientConn, message []byte, t *tally) error {
	sent := time.Now()
	var reply []byte
	if err := conn.Invoke(ctx, "/bench.Echo/Unary", message, &reply); err != nil {
		return err
	}
	return t.take(reply, message, sent)
}

// take checks and counts one reply.
func (t *tally) take(reply, message []byte, sent time.Time) error {
	if !bytes.Equal(reply, message) {
		return fmt.Errorf("%d bytes came back, which are not the %d that were sent", len(reply), len(message))
	}
	t.latencies.Add(time.Since(sent))
	t.messages++
	return nil
}

// stream sends o.messages and reads as many back; what is in flight is bounded, so that a latency is one.
func (o options) stream(ctx context.Context, conn *grpc.ClientConn, message []byte, t *tally) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/bench.Echo/Stream")
	if err != nil {
		return err
	}
	flying := make(chan time.Time, window)
	go func() {
		defer close(flying)
		for range o.messages {
			select {
			case flying <- time.Now():
			case <-ctx.Done():
				return
			}
			if s.SendMsg(message) != nil {
				return // RecvMsg says why
			}
		}
		_ = s.CloseSend()
	}()
	for range o.messages {
		var reply []byte
		if err := s.RecvMsg(&reply); err != nil {
			return err
		}
		if err := t.take(reply, message, <-flying); err != nil {
			return err
		}
	}
	var none []byte
	if err := s.RecvMsg(&none); !errors.Is(err, io.EOF) {
		return fmt.Errorf("after the last message: %w", err)
	}
	return nil
}
