// Command streamload is the load of the bench's TCP rows: connections that send one byte, read
// 1 MiB, check where each chunk begins and ends, and start over.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/attache-mesh/attache/conformance/bench/load"
)

const stall = 5 * time.Second // a reply that takes longer is an error

func main() {
	target := flag.String("target", "", "address to connect to (ip:port)")
	conns := flag.Int("conns", 16, "connections, each with one request in flight")
	duration := flag.Duration("duration", 2*time.Second, "how long to send")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	report, err := run(*target, *conns, *duration)
	if err == nil {
		err = report.Write(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "streamload:", err)
		os.Exit(1)
	}
}

// tally is what one connection counted.
type tally struct {
	replies   uint64
	latencies load.Histogram
	err       error
}

func run(target string, conns int, duration time.Duration) (load.Report, error) {
	reply := load.Stream()
	tallies := make(chan *tally)
	start := time.Now()
	for range conns {
		go func() {
			t := &tally{}
			t.err = t.exchange(target, reply, start.Add(duration))
			tallies <- t
		}()
	}
	var sum tally
	var problems []error
	for range conns {
		t := <-tallies
		sum.replies += t.replies
		sum.latencies.Merge(&t.latencies)
		problems = append(problems, t.err)
	}
	report := load.Measured(sum.replies, sum.replies*load.StreamSize, time.Since(start), &sum.latencies)
	return report, errors.Join(problems...)
}

func (t *tally) exchange(target string, reply []byte, until time.Time) error {
	conn, err := net.DialTimeout("tcp", target, stall)
	if err != nil {
		return err
	}
	defer conn.Close()
	buf := make([]byte, 256<<10)
	for now := time.Now(); now.Before(until); {
		if err := conn.SetDeadline(now.Add(stall)); err != nil {
			return err
		}
		if _, err := conn.Write([]byte{1}); err != nil {
			return err
		}
		for got := 0; got < len(reply); {
			n, err := conn.Read(buf)
			if err != nil {
				return fmt.Errorf("after %d bytes of a reply: %w", got, err)
			}
			if !load.AtPlace(reply, buf[:n], got) {
				return fmt.Errorf("wrong bytes in the %d after the first %d of a reply", n, got)
			}
			got += n
		}
		sent := now
		now = time.Now()
		t.latencies.Add(now.Sub(sent))
		t.replies++
	}
	return nil
}
