package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/attache-mesh/attache/proxy/config"
)

// nameserver answers from a table of "name type" to an rcode or records, by UDP
// and TCP on one port.
func nameserver(t *testing.T, records map[string]string) SystemResolver {
	t.Helper()
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg).SetReply(q)
		text, known := records[q.Question[0].Name+" "+dns.TypeToString[q.Question[0].Qtype]]
		switch {
		case !known:
			a.Rcode = dns.RcodeNameError
		case text == "SERVFAIL":
			a.Rcode = dns.RcodeServerFailure
		case text == "silence":
			return
		}
		for line := range strings.SplitSeq(text, "\n") {
			if rr, err := dns.NewRR(line); err == nil && rr != nil {
				a.Answer = append(a.Answer, rr)
			}
		}
		if w.LocalAddr().Network() == "udp" {
			a.Truncate(udpSize)
		}
		_ = w.WriteMsg(a)
	})
	tcp, udp := bothOnOnePort(t)
	for _, s := range []*dns.Server{{Listener: tcp, Handler: answer}, {PacketConn: udp, Handler: answer}} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		go func() { _ = s.ActivateAndServe() }()
		<-up
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	dir := t.TempDir()
	r := SystemResolver{ResolvConf: filepath.Join(dir, "resolv.conf"), Hosts: filepath.Join(dir, "hosts")}
	_, r.Port, _ = net.SplitHostPort(tcp.Addr().String())
	write(t, r.ResolvConf, "nameserver 127.0.0.1\nsearch svc.local\noptions timeout:1 attempts:1\n")
	write(t, r.Hosts, "# hosts\n10.9.9.9 here Alias\n::1 both\n127.0.0.1 both\n")
	return r
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSystemResolver(t *testing.T) {
	many := ""
	for i := range 100 {
		many += fmt.Sprintf("many. 60 A 10.1.0.%d\n", i)
	}
	r := nameserver(t, map[string]string{
		"one.example. A":       "one.example. 30 A 10.0.0.1\none.example. 20 A 10.0.0.2",
		"one.example. AAAA":    "",
		"two.example. A":       "two.example. 30 A 10.0.0.3",
		"two.example. AAAA":    "two.example. 7 AAAA fd00::3",
		"empty.example. A":     "",
		"empty.example. AAAA":  "",
		"ill.example. A":       "SERVFAIL",
		"ill.example. AAAA":    "SERVFAIL",
		"half.example. A":      "half.example. 9 A 10.0.0.9",
		"half.example. AAAA":   "SERVFAIL",
		"alias.example. A":     "alias.example. 3 CNAME one.example.\none.example. 30 A 10.0.0.1",
		"alias.example. AAAA":  "",
		"web.svc.local. A":     "web.svc.local. 5 A 10.0.0.5",
		"web.svc.local. AAAA":  "",
		"many. A":              many,
		"many. AAAA":           "",
		"silent.example. A":    "silence",
		"silent.example. AAAA": "silence",
	})
	for _, x := range []struct {
		name   string
		family config.DNSFamily
		want   string
		ttl    time.Duration
		err    error
	}{
		{"one.example", config.DNSAuto, "[10.0.0.1 10.0.0.2]", 20 * time.Second, nil},
		{"one.example.", config.DNSV4Only, "[10.0.0.1 10.0.0.2]", 20 * time.Second, nil},
		{"one.example", config.DNSV6Only, "[]", 0, nil},
		{"two.example", config.DNSAuto, "[fd00::3]", 7 * time.Second, nil},
		{"two.example", config.DNSV4Preferred, "[10.0.0.3]", 30 * time.Second, nil},
		{"two.example", config.DNSAll, "[fd00::3 10.0.0.3]", 7 * time.Second, nil},
		{"one.example", config.DNSV4Preferred, "[10.0.0.1 10.0.0.2]", 20 * time.Second, nil},
		{"empty.example", config.DNSAuto, "[]", 0, nil},
		{"none.example", config.DNSAuto, "[]", 0, ErrNotFound},
		{"ill.example", config.DNSAuto, "[]", 0, ErrServerFailure},
		{"half.example", config.DNSAuto, "[10.0.0.9]", 9 * time.Second, nil},
		{"alias.example", config.DNSAuto, "[10.0.0.1]", 3 * time.Second, nil},
		{"web", config.DNSAuto, "[10.0.0.5]", 5 * time.Second, nil},
		{"silent.example", config.DNSV4Only, "[]", 0, context.DeadlineExceeded},
		{"HERE", config.DNSAuto, "[10.9.9.9]", 0, nil},
		{"alias", config.DNSV4Only, "[10.9.9.9]", 0, nil},
		{"both", config.DNSAuto, "[::1]", 0, nil},
		{"both", config.DNSV4Preferred, "[127.0.0.1]", 0, nil},
		{"both", config.DNSAll, "[::1 127.0.0.1]", 0, nil},
		{"localhost", config.DNSV4Only, "[127.0.0.1]", 0, nil},
		{"192.0.2.1", config.DNSV6Only, "[192.0.2.1]", 0, nil},
	} {
		addrs, ttl, err := r.Lookup(context.Background(), x.name, x.family)
		if fmt.Sprint(addrs) != x.want || ttl != x.ttl || !errors.Is(err, x.err) || (err == nil) != (x.err == nil) {
			t.Errorf("%s, family %d: %v, %v, %v; want %s, %v, %v", x.name, x.family, addrs, ttl, err, x.want, x.ttl, x.err)
		}
	}
	if addrs, _, err := r.Lookup(context.Background(), "many", config.DNSV4Only); len(addrs) != 100 {
		t.Errorf("an answer too large for UDP: %d addresses, %v", len(addrs), err)
	}
}

func TestSystemResolverEndsWithItsContext(t *testing.T) {
	r := nameserver(t, map[string]string{"silent. A": "silence", "silent. AAAA": "silence"})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := r.Lookup(ctx, "silent", config.DNSAuto); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

var _ Resolver = SystemResolver{}

func TestAddressesOfAnIPv4InIPv6(t *testing.T) {
	rr, _ := dns.NewRR("a. 5 A 10.0.0.1")
	addrs, ttl := addresses(&dns.Msg{Answer: []dns.RR{rr}})
	if len(addrs) != 1 || addrs[0] != netip.MustParseAddr("10.0.0.1") || ttl != 5*time.Second {
		t.Errorf("%v, %v", addrs, ttl)
	}
}

// bothOnOnePort binds one port for TCP and UDP; a port that is free for the one
// may be taken for the other, so it tries a few.
func bothOnOnePort(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	var last error
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err == nil {
			return tcp, udp
		}
		last = err
		tcp.Close()
	}
	t.Fatal("no port is free for TCP and UDP: ", last)
	return nil, nil
}
