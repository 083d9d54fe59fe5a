// Package ports finds loopback ports for servers that tests and benchmarks
// start, and gives none of them twice: not to two callers of one process, and
// not to two processes.
package ports

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The ports stand below the range that outgoing connections take theirs from
// (32768 on Linux), so that none is taken between the claim and the server's
// start, and a killed server finds its own free again.
const (
	First = 20000 // the first port that Claim gives
	Last  = 31999 // the last
)

// Claim gives n different ports that nothing listens on, by TCP or UDP, on
// 127.0.0.1. They are the caller's until the process ends: between the look and
// the listen of its server no other caller is given them. Any goroutine.
//
// A claim is a lock on one byte of a file that all processes share. The lock
// belongs to the open file, not to the process, so every call opens its own; the
// kernel drops it when the process is gone, however it went.
func Claim(n int) ([]int, error) {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("attache-ports-%d", os.Getuid()))
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var ports []int
	for _, i := range rand.Perm(Last - First + 1) {
		if len(ports) == n {
			break
		}
		if port := First + i; claim(fd, port) && free(port) {
			ports = append(ports, port)
		}
	}
	if len(ports) < n {
		return nil, fmt.Errorf("127.0.0.1 has %d free ports from %d to %d, want %d", len(ports), First, Last, n)
	}
	return ports, nil
}

// claim reports whether the port's byte is now this file's.
func claim(fd, port int) bool {
	return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Start: int64(port), Len: 1}) == nil
}

func free(port int) bool {
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	defer l.Close()
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
