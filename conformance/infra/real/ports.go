package real

import (
	"math/rand/v2"
	"net"
	"slices"
	"testing"
)

// The ports that are looked at stand below the range that outgoing connections
// take theirs from (32768 on Linux), so that none is taken between here and the
// server's start.
const (
	firstPort = 20000
	lastPort  = 32000
)

// Ports are n different loopback ports that nothing listens on, by TCP or UDP.
func Ports(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range lastPort - firstPort {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if slices.Contains(ports, port) || !free(port) {
			continue
		}
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatalf("no %d free loopback ports", n)
	return nil
}

func free(port int) bool {
	l, err := net.Listen("tcp", hostPort(port))
	if err != nil {
		return false
	}
	defer l.Close()
	c, err := net.ListenPacket("udp", hostPort(port))
	if err != nil {
		return false
	}
	c.Close()
	return true
}
