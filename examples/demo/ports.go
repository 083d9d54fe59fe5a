package main

// Loopback ports, and waiting until something is so.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// freePorts finds n ports that nobody listens on, below those that the kernel gives to outgoing connections: there, a
// dead shard's port could be taken by a stranger, or be met by a connection to itself, before the shard is back.
func freePorts(n int) ([]int, error) {
	first := 32768
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(text), &first) // the default stands otherwise
	}
	var ports []int
	for port := max(first-1, 2048); port > 1024 && len(ports) < n; port-- {
		ln, err := net.Listen("tcp", loopback(port))
		if err != nil {
			continue
		}
		ln.Close()
		ports = append(ports, port)
	}
	if len(ports) < n {
		return nil, errors.New("no free ports on 127.0.0.1")
	}
	return ports, nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// until asks cond again and again until it has no error; the last error stands when limit has passed. errDied ends it.
func until(ctx context.Context, limit time.Duration, cond func() error) error {
	deadline := time.After(limit)
	for {
		err := cond()
		if err == nil || errors.Is(err, errDied) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}
