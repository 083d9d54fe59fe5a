package main

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/attache-mesh/attache/conformance/bench/load"
)

// storm is many clients that begin at once: each connects, agrees on keys, and goes.
func storm(target string, size int) error {
	begin := make(chan bool)
	problems := make([]error, size)
	var running sync.WaitGroup
	for i := range size {
		running.Go(func() {
			<-begin
			problems[i] = handshake(target)
		})
	}
	start := time.Now()
	close(begin)
	running.Wait()
	took := time.Since(start)
	if err := errors.Join(problems...); err != nil {
		return err
	}
	return load.Measured(uint64(size), 0, took, &load.Histogram{}).Write(os.Stdout)
}

func handshake(target string) error {
	tcp, err := net.DialTimeout("tcp", target, stall)
	if err != nil {
		return err
	}
	defer tcp.Close()
	if err := tcp.SetDeadline(time.Now().Add(stall)); err != nil {
		return err
	}
	c := tls.Client(tcp, &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}})
	if err := c.Handshake(); err != nil {
		return err
	}
	return c.Close()
}
