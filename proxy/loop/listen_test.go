package loop

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/attache-mesh/attache/proxy/config"
)

func anyPort() config.Address { return config.Address{IP: netip.MustParseAddrPort("127.0.0.1:0")} }

// What a listening socket is asked to have, the kernel says that it has.
func TestListenOptions(t *testing.T) {
	fd, _, err := openListener(anyPort(), ListenOptions{
		Multipath: true,
		Socket: config.Socket{Options: []config.SocketOption{
			{Level: unix.SOL_SOCKET, Name: unix.SO_PRIORITY, Value: 3},
			{Level: unix.SOL_SOCKET, Name: unix.SO_RCVLOWAT, Bytes: "\x02\x00\x00\x00", When: config.Bound},
			{Level: unix.IPPROTO_TCP, Name: unix.TCP_FASTOPEN, Value: 7, When: config.Listening},
		}},
	})
	if errors.Is(err, syscall.EPROTONOSUPPORT) || errors.Is(err, syscall.ENOPROTOOPT) { // a kernel without MPTCP, which says so
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, c := range []struct{ level, name, want int }{
		{unix.SOL_SOCKET, unix.SO_PROTOCOL, unix.IPPROTO_MPTCP},
		{unix.SOL_SOCKET, unix.SO_PRIORITY, 3},
		{unix.SOL_SOCKET, unix.SO_RCVLOWAT, 2},
		{unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 7},
	} {
		if v, err := unix.GetsockoptInt(fd, c.level, c.name); v != c.want || err != nil {
			t.Errorf("%d/%d is %d, %v, want %d", c.level, c.name, v, err, c.want)
		}
	}
}

// An option that the kernel refuses is named.
func TestListenOptionRefused(t *testing.T) {
	for want, o := range map[string]config.SocketOption{
		"127.0.0.1:0: socket option 6/999: setsockopt: protocol not available":           {Level: unix.IPPROTO_TCP, Name: 999, Value: 1},
		"127.0.0.1:0: socket option TCP_FASTOPEN: setsockopt: invalid argument":          {Level: unix.IPPROTO_TCP, Name: unix.TCP_FASTOPEN, Value: -1, When: config.Listening},
		"127.0.0.1:0: socket option IP_TRANSPARENT: setsockopt: operation not permitted": {Level: unix.IPPROTO_IP, Name: unix.IP_TRANSPARENT, Value: 1},
	} {
		fd, _, err := openListener(anyPort(), ListenOptions{Socket: config.Socket{Options: []config.SocketOption{o}}})
		if err == nil { // who runs as root may
			unix.Close(fd)
		}
		if err == nil && !strings.Contains(want, "TRANSPARENT") || err != nil && err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// No more connections are taken at once than was said.
func TestAcceptsPerTurn(t *testing.T) {
	for most, want := range map[int]uint64{2: 2, 0: 6} {
		w := running(t)
		var l *Listener
		byTurn := map[uint64]uint64{}
		on(w, func() {
			var err error
			if l, err = w.Listen(anyPort(), ListenOptions{AcceptsPerTurn: most}, func(c *Conn) {
				byTurn[w.Counters().Turns]++
				c.Close()
			}); err != nil {
				t.Error(err)
			}
			for range 6 { // they wait in the kernel
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Error(err)
					continue
				}
				defer c.Close()
			}
		})
		for n := uint64(0); n < 6; {
			on(w, func() { n = w.Counters().Accepted })
		}
		on(w, func() {
			l.Close()
			for turn, n := range byTurn {
				if n > want || most == 0 && n != want {
					t.Errorf("at most %d at once: %d in turn %d", most, n, turn)
				}
			}
		})
	}
}
