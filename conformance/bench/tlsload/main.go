// Command tlsload is the load of the bench's rows of handshakes: clients that connect, agree on
// keys, and go. With -resume each keeps the ticket of its first connection and resumes it.
package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/attache-mesh/attache/conformance/bench/load"
)

const stall = 10 * time.Second // a handshake that takes longer is an error

func main() {
	target := flag.String("target", "", "address to connect to (ip:port)")
	conns := flag.Int("conns", 16, "clients, each with one connection at a time")
	duration := flag.Duration("duration", 2*time.Second, "how long to connect")
	resume := flag.Bool("resume", false, "resume a session instead of making a full handshake")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	report, err := run(*target, *conns, *duration, *resume)
	if err == nil {
		err = report.Write(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tlsload:", err)
		os.Exit(1)
	}
}

// tally is what one client counted.
type tally struct {
	handshakes uint64
	latencies  load.Histogram
	err        error
}

func run(target string, conns int, duration time.Duration, resume bool) (load.Report, error) {
	tallies := make(chan *tally)
	start := time.Now()
	for range conns {
		go func() {
			t := &tally{}
			t.err = t.client(target, start.Add(duration), resume)
			tallies <- t
		}()
	}
	var sum tally
	var problems []error
	for range conns {
		t := <-tallies
		sum.handshakes += t.handshakes
		sum.latencies.Merge(&t.latencies)
		problems = append(problems, t.err)
	}
	return load.Measured(sum.handshakes, 0, time.Since(start), &sum.latencies), errors.Join(problems...)
}

func (t *tally) client(target string, until time.Time, resume bool) error {
	cfg := &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}}
	if resume {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		cfg.ServerName = "bench.test"
		if err := first(target, cfg); err != nil {
			return err
		}
	}
	for now := time.Now(); now.Before(until); {
		c, err := connect(target, cfg)
		if err != nil {
			return err
		}
		if resume && !c.ConnectionState().DidResume {
			return errors.New("a session was not resumed")
		}
		c.Close()
		sent := now
		now = time.Now()
		t.latencies.Add(now.Sub(sent))
		t.handshakes++
	}
	return nil
}

func connect(target string, cfg *tls.Config) (*tls.Conn, error) {
	tcp, err := net.DialTimeout("tcp", target, stall)
	if err != nil {
		return nil, err
	}
	if err := tcp.SetDeadline(time.Now().Add(stall)); err != nil {
		return nil, err
	}
	c := tls.Client(tcp, cfg)
	if err := c.Handshake(); err != nil {
		tcp.Close()
		return nil, err
	}
	return c, nil
}

// first makes a request, with whose answer the ticket comes.
func first(target string, cfg *tls.Config) error {
	c, err := connect(target, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
