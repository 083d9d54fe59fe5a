package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/attache-mesh/attache/conformance/bench/load"
)

// living is connections with a request on each at fixed times.
type living struct {
	mu        sync.Mutex
	latencies load.Histogram
	running   sync.WaitGroup
	stopped   atomic.Bool
	problems  []error
}

func live(target string, conns int, every time.Duration) (*living, error) {
	l := &living{problems: make([]error, conns)}
	for i := range conns {
		c, err := tls.DialWithDialer(&net.Dialer{Timeout: stall}, "tcp", target, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return nil, errors.Join(err, l.end())
		}
		first := time.Now().Add(every * time.Duration(i) / time.Duration(conns))
		l.running.Go(func() {
			defer c.Close()
			l.problems[i] = l.talk(c, first, every)
		})
	}
	return l, nil
}

// talk makes a request whenever one is due. It counts from when it is sent, or from when it was due if the answer
// before it was what held it up: the timer's lateness is the generator's own.
func (l *living) talk(c net.Conn, due time.Time, every time.Duration) error {
	answers := bufio.NewReader(c)
	for ; !l.stopped.Load(); due = due.Add(every) {
		from := due
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
			from = time.Now()
		}
		if err := ask(c, answers); err != nil {
			return err
		}
		took := time.Since(from)
		l.mu.Lock()
		l.latencies.Add(took)
		l.mu.Unlock()
	}
	return nil
}

func ask(c net.Conn, answers *bufio.Reader) error {
	if err := c.SetDeadline(time.Now().Add(stall)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(answers, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", answer.Status)
	}
	return nil
}

// take adds to sum what was counted since the last time.
func (l *living) take(sum *load.Histogram) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum.Merge(&l.latencies)
	l.latencies = load.Histogram{}
}

// end stops the requests; errors are those of any of them.
func (l *living) end() error {
	l.stopped.Store(true)
	l.running.Wait()
	return errors.Join(l.problems...)
}
