package upstream

import (
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

func TestResolverOfItsOwn(t *testing.T) {
	system := nameserver(t, map[string]string{"web.svc.local. A": "web.svc.local. 9 A 10.0.0.1"})
	other := nameserver(t, map[string]string{
		"web.svc.local. A": "web.svc.local. 9 A 10.0.0.2",
		"web. A":           "web. 9 A 10.0.0.3",
	})
	port, _ := strconv.Atoi(other.Port)
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
	dead := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 1)
	for name, x := range map[string]struct {
		r    config.Resolver
		want string
	}{
		"the system's":       {config.Resolver{}, "10.0.0.1"},
		"another":            {config.Resolver{Servers: []netip.AddrPort{at}}, "10.0.0.2"},
		"by TCP":             {config.Resolver{Servers: []netip.AddrPort{at}, TCP: true, MaxUDP: 4096}, "10.0.0.2"},
		"without search":     {config.Resolver{Servers: []netip.AddrPort{at}, NoSearch: true}, "10.0.0.3"},
		"only in need":       {config.Resolver{Servers: []netip.AddrPort{at}, Fallback: true}, "10.0.0.1"},
		"the first is dead":  {config.Resolver{Servers: []netip.AddrPort{dead, at}, Tries: 1, Timeout: time.Second}, "10.0.0.2"},
		"beginning anywhere": {config.Resolver{Servers: []netip.AddrPort{dead, at}, Rotate: true, Tries: 1}, "10.0.0.2"},
	} {
		t.Run(name, func(t *testing.T) {
			addrs, _, err := resolverFor(system, &x.r).Lookup(t.Context(), "web", config.DNSV4Only)
			if err != nil || len(addrs) != 1 || addrs[0].String() != x.want {
				t.Errorf("got %v, %v, want %s", addrs, err, x.want)
			}
		})
	}
}

func TestRoutable(t *testing.T) {
	all := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range routable(all) {
		found := false
		for _, o := range own {
			n, ok := o.(*net.IPNet)
			found = found || ok && !n.IP.IsLoopback() && (n.IP.To4() != nil) == a.Is4()
		}
		if !found {
			t.Errorf("%v stays, and no interface has its family", a)
		}
	}
}
