package real

import (
	"net"
	"slices"
	"strconv"
	"testing"
	"time"
)

// Memcached is one memcached server.
type Memcached struct {
	*Process
	Addr string // "host:port"
}

// StartMemcached runs memcached on a port of its own, or on addr if it is not
// "".
func StartMemcached(t testing.TB, addr string) *Memcached {
	t.Helper()
	if addr == "" {
		addr = hostPort(Ports(t, 1)[0])
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	m := &Memcached{Process: Start(t, "memcached "+addr, "memcached", "-l", host, "-p", port, "-U", "0", "-u", "root", "-m", "16", "-t", "1"), Addr: addr}
	m.Ready(10*time.Second, func() bool { return accepts(addr) })
	return m
}

// Port is the port of Addr.
func (m *Memcached) Port() int {
	_, port, _ := net.SplitHostPort(m.Addr)
	n, _ := strconv.Atoi(port)
	return n
}

// Addrs are the servers' addresses, sorted.
func Addrs(all []*Memcached) (addrs []string) {
	for _, m := range all {
		addrs = append(addrs, m.Addr)
	}
	slices.Sort(addrs)
	return addrs
}

func accepts(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}
