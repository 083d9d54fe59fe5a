// Command stormload is the load of the bench's storm row: a few TLS connections that each make a request every
// few milliseconds, and beside them, again and again, many clients that all begin a handshake at once. What
// counts is how much longer the requests take while a storm lasts.
//
// The clients of a storm are a process of their own, niced: what they cost themselves is not to be
// taken for the proxy's.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/attache-mesh/attache/conformance/bench/load"
)

const stall = 30 * time.Second // what takes longer is an error

func main() {
	target := flag.String("target", "", "address to connect to (ip:port), TLS")
	storms := flag.String("storms", "", "where the storms go, if not to the target: what they cost without touching it")
	conns := flag.Int("conns", 8, "connections that live")
	every := flag.Duration("every", 4*time.Millisecond, "a request on each of them")
	size := flag.Int("size", 1000, "clients of a storm")
	duration := flag.Duration("duration", 6*time.Second, "how long, storms and quiet times together")
	niced := flag.Int("nice", 10, "how much the clients of a storm are niced")
	clients := flag.Bool("clients", false, "be the clients of one storm; for the program itself")
	flag.Parse()
	var err error
	if *clients {
		err = storm(*target, *size)
	} else {
		err = run(*target, cmp.Or(*storms, *target), *conns, *every, *size, *niced, *duration)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stormload:", err)
		os.Exit(1)
	}
}

// run lets a second of quiet and a storm follow each other.
func run(target, storms string, conns int, every time.Duration, size, niced int, duration time.Duration) error {
	runtime.GOMAXPROCS(1)
	l, err := live(target, conns, every)
	if err != nil {
		return err
	}
	var quiet, stormy load.Histogram
	var handshakes int
	var took time.Duration
	time.Sleep(time.Second / 2) // what the first requests cost is nobody's
	l.take(&load.Histogram{})
	for end := time.Now().Add(duration); time.Now().Before(end); {
		time.Sleep(time.Second)
		l.take(&quiet)
		t, err := clients(storms, size, niced)
		if err != nil {
			return errors.Join(err, l.end())
		}
		l.take(&stormy)
		took += t
		handshakes += size
		time.Sleep(time.Second / 4)
		l.take(&load.Histogram{}) // the rest of the storm: its connections end
	}
	if err := l.end(); err != nil {
		return err
	}
	report := load.Measured(uint64(handshakes), 0, took, &stormy)
	report.Quiet99 = float64(quiet.Quantile(0.99).Nanoseconds()) / 1e3
	return report.Write(os.Stdout)
}

// clients runs a storm in a process of its own and says how long it took, its first connection to its last.
func clients(target string, size, niced int) (time.Duration, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command("nice", "-n", fmt.Sprint(niced), self, "-clients", "-target", target, "-size", fmt.Sprint(size))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	text, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil {
		return 0, err
	}
	var r load.Report
	err = json.Unmarshal(text, &r)
	return time.Duration(r.Seconds * float64(time.Second)), err
}
