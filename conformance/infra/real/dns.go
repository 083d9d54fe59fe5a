package real

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// DNS is a dnsmasq that knows the names of the zone "test." and no others.
type DNS struct {
	*Process
	// Addr is where it answers, UDP and TCP, "host:port".
	Addr  string
	dir   string
	hosts string
	conf  string
}

// dnsTTL is every answer's time to live.
const dnsTTL = time.Second

// StartDNS runs dnsmasq without any name. Its answers live for a second.
func StartDNS(t testing.TB) *DNS {
	t.Helper()
	dir, port := t.TempDir(), Ports(t, 1)[0]
	d := &DNS{Addr: hostPort(port), dir: dir, hosts: write(t, dir, "hosts", ""), conf: write(t, dir, "conf", "")}
	d.Process = Start(t, "dnsmasq", "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--bind-interfaces",
		"--listen-address=127.0.0.1", fmt.Sprintf("--port=%d", port), "--local=/test/", "--user=root", "--group=root",
		"--pid-file="+filepath.Join(dir, "pid"), fmt.Sprintf("--local-ttl=%d", int(dnsTTL.Seconds())),
		"--addn-hosts="+d.hosts, "--conf-file="+d.conf, "--log-facility=-")
	d.Ready(10*time.Second, d.answers)
	return d
}

func (d *DNS) answers() bool {
	m := new(dns.Msg).SetQuestion("nothing.test.", dns.TypeA)
	_, err := dns.Exchange(m, d.Addr)
	return err == nil
}

// Hosts replaces all addresses, by name ("cache.test"). The server goes on
// answering meanwhile.
func (d *DNS) Hosts(addrs map[string][]string) {
	d.t.Helper()
	var text strings.Builder
	for name, list := range addrs {
		for _, a := range list {
			fmt.Fprintf(&text, "%s %s\n", a, name)
		}
	}
	write(d.t, d.dir, "hosts", text.String())
	d.Signal(syscall.SIGHUP)
}

// Target is one SRV record.
type Target struct {
	Host     string
	Port     int
	Priority int
	Weight   int
}

// Services replaces all SRV records, by name ("_memcache._tcp.test"). dnsmasq
// reads them at its start only: it is killed and started again.
func (d *DNS) Services(records map[string][]Target) {
	d.t.Helper()
	var text strings.Builder
	for name, list := range records {
		for _, r := range list {
			fmt.Fprintf(&text, "srv-host=%s,%s,%d,%d,%d\n", name, r.Host, r.Port, r.Priority, r.Weight)
		}
	}
	write(d.t, d.dir, "conf", text.String())
	d.Restart()
	d.Ready(10*time.Second, d.answers)
}
