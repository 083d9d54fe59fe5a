// Command memload is the memcached load of the bench: N connections with K commands in flight
// each, a share of sets, or multi-gets. Every reply is compared whole with the one that the key
// demands, and the first wrong byte ends the run.
//
// It shares the machine with what it measures, so it is one epoll loop that formats and parses
// nothing: every command and its only right reply are built before the clock starts.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"
)

// options are the command line.
type options struct {
	target   string
	conns    int
	inflight int     // commands in flight per connection
	sets     float64 // share of commands that are sets, 0 to 1
	multiget int     // keys per get
	keys     int
	value    int // bytes
	duration time.Duration
	preload  bool
}

func main() {
	var o options
	flag.StringVar(&o.target, "target", "", "address to connect to (ip:port)")
	flag.IntVar(&o.conns, "conns", 64, "connections")
	flag.IntVar(&o.inflight, "inflight", 1, "commands in flight per connection")
	flag.Float64Var(&o.sets, "sets", 0.1, "share of commands that are sets")
	flag.IntVar(&o.multiget, "multiget", 1, "keys per get")
	flag.IntVar(&o.keys, "keys", 10000, "distinct keys")
	flag.IntVar(&o.value, "value", 100, "bytes per value")
	flag.DurationVar(&o.duration, "duration", 2*time.Second, "how long to send")
	flag.BoolVar(&o.preload, "preload", false, "set every key once and end")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "memload:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if o.conns < 1 || o.inflight < 1 || o.multiget < 1 || o.keys < o.multiget || o.value < 1 {
		return fmt.Errorf("conns, inflight, multiget, value and keys must be at least 1, and keys at least multiget")
	}
	script := newScript(o)
	g, err := open(o, script)
	if err != nil {
		return err
	}
	if err := g.run(o.duration); err != nil {
		return err
	}
	return g.report().Write(os.Stdout)
}
