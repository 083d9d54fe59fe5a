// Command bench measures attache beside its peers, from the outside: built programs on loopback,
// one worker or thread each, in turns within one run, CPU read from /proc.
//
//	go run ./conformance/bench                          every row, every peer
//	go run ./conformance/bench -work http64 -only nginx,haproxy
//	go run ./conformance/bench -write docs/performance.md
//	go run ./conformance/bench -guard                   what CI runs: ratios against ceiling.txt, system calls counted
//
// The rows and their goals are in rows.go, how each proxy is set up in proxies.go, how a figure
// is taken in measure.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// options are the command line.
type options struct {
	work       string
	only       string
	subject    string
	attache    string
	example    string
	seconds    float64
	rounds     int
	write      string
	guard      bool
	ceiling    string
	setCeiling bool
	goals      bool
}

func main() {
	// Children are killed when the thread that started them ends (Pdeathsig), so one thread starts them all and stays.
	runtime.LockOSThread()
	var o options
	flag.StringVar(&o.work, "work", "", "rows to run, comma-separated (default all): "+strings.Join(rowNames(), ","))
	flag.StringVar(&o.only, "only", "", "proxies to run, comma-separated (default all): "+strings.Join(proxyNames(), ","))
	flag.StringVar(&o.subject, "subject", "attache", "the proxy that the others are compared with")
	flag.StringVar(&o.attache, "attache", "bin/attache", "the program to measure")
	flag.StringVar(&o.example, "example", "examples/memcached/envoy.yaml", "configuration of the rss row")
	flag.Float64Var(&o.seconds, "seconds", 3, "length of one turn")
	flag.IntVar(&o.rounds, "rounds", 5, "turns of each proxy per row")
	flag.StringVar(&o.write, "write", "", "markdown file to write the result to")
	flag.BoolVar(&o.guard, "guard", false, "run the short guard instead of the table")
	flag.StringVar(&o.ceiling, "ceiling", "conformance/bench/ceiling.txt", "the guard's committed ratios")
	flag.BoolVar(&o.setCeiling, "set-ceiling", false, "with -guard: write the measured ratios to the ceiling file")
	flag.BoolVar(&o.goals, "goals", false, "with -guard: hold every row against its goal, the first column, on a machine for which no ceiling was measured")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Where `go run` is killed, this program goes too, and its children with it.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "bench: children may outlive a killed parent:", err)
	}
	if err := run(ctx, o); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the program: check what is there, build the generators, measure row by row, print, write.
func run(ctx context.Context, o options) error {
	started := time.Now()
	chosen, err := chooseRows(o)
	if err != nil {
		return err
	}
	proxies, err := chooseProxies(o.only)
	if err != nil {
		return err
	}
	if err := missing(chosen, proxies, o); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "attache-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, proxies: proxies, dir: dir, out: newScreen()}
	if err := b.build(ctx); err != nil {
		return err
	}
	if o.guard {
		return b.guardAll(ctx, chosen)
	}
	var results []*result
	for _, r := range chosen {
		res, err := b.measure(ctx, r, o.rounds, o.seconds)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		b.out.row(res)
		results = append(results, res)
	}
	if o.write == "" {
		return nil
	}
	return writeReport(o, results, started)
}
