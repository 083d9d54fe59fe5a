// Command chaos asks whether a client can ever be given another's answer: raw, deeply pipelined memcached text through
// attache to three real servers, while one of them after the other is killed at random moments and started again.
//
//	clients (batches of commands, every answer checked) ──▶ attache ──▶ 3 memcached ◀── SIGKILL, start again
//
// Every value tells its key, its writer and a number, and fixes its own length and bytes. A command must have exactly one
// answer, in its place; a dead shard may cost a SERVER_ERROR or a miss, never a value of another key, never an answer,
// never a connection. At the end every shard must answer again.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// options are the command line.
type options struct {
	attache     string
	requests    int64
	clients     int
	concurrency int
	keys        int
	depth       span[int]
	killEvery   span[time.Duration]
	deadFor     span[time.Duration]
}

func main() {
	o := options{
		depth:     span[int]{1, 64},
		killEvery: span[time.Duration]{200 * time.Millisecond, 2 * time.Second},
		deadFor:   span[time.Duration]{0, 300 * time.Millisecond},
	}
	flag.StringVar(&o.attache, "attache", "bin/attache", "the `program` under test (make build)")
	flag.Int64Var(&o.requests, "requests", 10_000_000, "commands in all")
	flag.IntVar(&o.clients, "clients", 32, "connections, each with one batch in flight")
	flag.IntVar(&o.concurrency, "concurrency", 2, "attache's workers")
	flag.IntVar(&o.keys, "keys", 10_000, "distinct keys, shared by all clients")
	flag.Func("depth", "commands per batch, `least..most` (default 1..64)", func(s string) error { return o.depth.parse(s, parseInt) })
	flag.Func("kill-every", "time between kills, `least..most` (default 200ms..2s)", func(s string) error { return o.killEvery.parse(s, time.ParseDuration) })
	flag.Func("dead-for", "time until a killed shard is started again, `least..most` (default 0s..300ms)", func(s string) error { return o.deadFor.parse(s, time.ParseDuration) })
	flag.Parse()
	if o.clients < 1 || o.keys < 1 || o.depth.least < 1 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "chaos: clients, keys and depth must be at least 1, and there are no arguments beside flags")
		os.Exit(2)
	}
	// Children are told to die with the thread that started them; this one lives as long as we do.
	runtime.LockOSThread()
	// And where `go run` is killed, we end in order. Without this call only that is lost.
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0, 0, 0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		stop()
		os.Exit(1)
	}
}

// run is the program: servers, clients and the killer beside them, the end, the verdict.
func run(ctx context.Context, o options, out *os.File) error {
	s, err := raise(ctx, o)
	defer s.strike()
	if err != nil {
		return err
	}
	load := begin(ctx, o, s.port)
	shown := newProgress(out, o.requests)
	kills, err := killAtRandom(ctx, o, s, load, shown)
	if err != nil {
		return err
	}
	sum := load.end()
	sum.kills = kills
	settled, err := s.settle(ctx)
	shown.clear()
	fmt.Fprint(out, sum.text(settled))
	if err != nil {
		return err
	}
	return sum.verdict(o.requests)
}
