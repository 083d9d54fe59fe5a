// Command idleload opens many keep-alive HTTP connections, sends one request on each, prints
// "ready", and holds them idle until its standard input ends. It is a process of its own because
// the descriptors of one process would not reach for both ends.
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
	"sync"
	"time"
)

const patience = 10 * time.Second // for one connection and its request

func main() {
	target := flag.String("target", "", "address to connect to (ip:port)")
	conns := flag.Int("conns", 10000, "connections to hold")
	secure := flag.Bool("tls", false, "agree on keys first")
	parallel := flag.Int("parallel", 32, "requests in flight while opening")
	flag.Parse()
	held, err := openAll(*target, *conns, *parallel, *secure)
	if err != nil {
		fmt.Fprintln(os.Stderr, "idleload:", err)
		os.Exit(1)
	}
	fmt.Println("ready", len(held))
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, conn := range held {
		_ = conn.Close()
	}
}

func openAll(target string, conns, parallel int, secure bool) ([]net.Conn, error) {
	held := make([]net.Conn, conns)
	problems := make([]error, parallel)
	var openers sync.WaitGroup
	for opener := range parallel {
		openers.Go(func() {
			for i := opener; i < conns && problems[opener] == nil; i += parallel {
				held[i], problems[opener] = open(target, secure)
			}
		})
	}
	openers.Wait()
	return held, errors.Join(problems...)
}

func open(target string, secure bool) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", target, patience)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", target); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK || response.Close {
		return nil, fmt.Errorf("answered %s, connection closing: %v", response.Status, response.Close)
	}
	return conn, conn.SetDeadline(time.Time{})
}
