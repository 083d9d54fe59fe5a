package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

const (
	requestConns = 50
	requestLate  = 5 * time.Second // a request that takes longer has failed
)

// openLoop sends requestRate requests a second over a few connections, each when
// it is due, whatever became of the one before; late ones count from when they
// were due.
func openLoop(ctx context.Context, address string, length time.Duration) (outcome, error) {
	start := time.Now()
	all := newOutcome()
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range requestConns {
		group.Go(func() {
			one := requester{address: address, outcome: newOutcome()}
			every := time.Second * requestConns / requestRate
			for due := start.Add(every * time.Duration(i) / requestConns); due.Sub(start) < length && ctx.Err() == nil; due = due.Add(every) {
				time.Sleep(time.Until(due))
				one.request(due)
			}
			one.close()
			mu.Lock()
			defer mu.Unlock()
			all.add(one.outcome)
		})
	}
	group.Wait()
	return all, ctx.Err()
}

// requester is one connection of the generator.
type requester struct {
	outcome
	address string
	conn    net.Conn
	reader  *bufio.Reader
}

func (r *requester) request(due time.Time) {
	r.sent++
	if err := r.try(); err != nil {
		if r.failed == 0 {
			progress("  a request failed: %v", err)
		}
		r.failed++
		r.close()
	}
	r.latency.Add(time.Since(due))
}

func (r *requester) try() (err error) {
	if r.conn == nil {
		if r.conn, err = net.Dial("tcp", r.address); err != nil {
			r.conn = nil
			return err
		}
		r.reader = bufio.NewReader(r.conn)
	}
	if err := r.conn.SetDeadline(time.Now().Add(requestLate)); err != nil {
		return err
	}
	if _, err := io.WriteString(r.conn, "GET / HTTP/1.1\r\nHost: front\r\n\r\n"); err != nil {
		return err
	}
	return readReply(r.reader)
}

// readReply takes one response with a Content-Length.
func readReply(r *bufio.Reader) error {
	status, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	length := -1
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		if line == "\r\n" {
			break
		}
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "content-length") {
			if _, err := fmt.Sscan(value, &length); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("no content-length: " + status)
	}
	if _, err := r.Discard(length); err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200 ") {
		return errors.New(strings.TrimSpace(status))
	}
	return nil
}

func (r *requester) close() {
	if r.conn != nil {
		_ = r.conn.Close()
		r.conn = nil
	}
}

// answer is a backend: it says ok to every request that comes.
func answer(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			r := bufio.NewReader(conn)
			for {
				line, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				if !bytes.Equal(line, []byte("\r\n")) {
					continue
				}
				if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
					return
				}
			}
		}()
	}
}
