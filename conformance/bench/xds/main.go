// Command xds measures the serving side of the control plane with thousands of
// simulated sidecars, each a real TCP connection on loopback, in processes of
// their own.
//
//	go run ./conformance/bench/xds                              every row, printed
//	go run ./conformance/bench/xds -rows change,memory -clients 200
//	go run ./conformance/bench/xds -write docs/performance.md   into its own section
//
// The rows and their goals are in rows.go; serve.go is the control plane in a
// process, simulate.go the sidecars in one. large.go, mesh.go and pushes.go
// measure the built attache, the first with the built attache-control, the others
// with a control plane inside the bench.
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
	rows    string
	clients int
	many    int
	rounds  int
	changes int
	attache string
	control string
	length  time.Duration
	write   string
}

func main() {
	// Where `go run` or the bench is killed, this process goes too.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGTERM), 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "bench: children may outlive a killed parent:", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the program: as one of its own children, or all the rows.
func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "serve":
			return serve(ctx, args[1:], os.Stdin, os.Stdout)
		case "simulate":
			return simulate(ctx, args[1:], os.Stdout)
		}
	}
	var o options
	flags := flag.NewFlagSet("xds", flag.ContinueOnError)
	flags.StringVar(&o.rows, "rows", "", "rows to run, comma-separated (default all): "+strings.Join(rowNames(), ","))
	flags.IntVar(&o.clients, "clients", 1000, "sidecars of the rows change and memory")
	flags.IntVar(&o.many, "many", 5000, "sidecars of the row restart")
	flags.IntVar(&o.rounds, "rounds", 4, "turns of each server in the row change")
	flags.IntVar(&o.changes, "changes", 30, "changes in a turn")
	flags.StringVar(&o.attache, "attache", "bin/attache", "the sidecar of the rows large, mesh and pushes")
	flags.StringVar(&o.control, "control", "bin/attache-control", "the control plane of the row large")
	flags.DurationVar(&o.length, "length", time.Minute, "how long the row pushes sends requests with pushes, and as long without")
	flags.StringVar(&o.write, "write", "", "markdown file whose section is replaced by the result")
	if err := flags.Parse(args); err != nil {
		return err
	}
	return measure(ctx, o)
}
