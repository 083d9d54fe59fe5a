package dns

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// FuzzDecode: whatever a server sends, decode says that it is not ours, that it
// is unreadable, or what it says within bounds.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		ten, "c.test. 60 CNAME d.test.\nd.test. 60 A 10.0.0.1", "c.test. 60 CNAME c.test.", "empty test. 5 SOA a. b. 1 2 3 4 5",
		"c.test. 60 SRV 1 2 3 d.test.\n+\nd.test. 60 A 10.0.0.1\nd.test. 60 AAAA ::1", "= test. 60 NS ns.test.", "SERVFAIL", "truncated-always",
	} {
		for _, kind := range []uint16{dns.TypeA, dns.TypeSRV} {
			q := new(dns.Msg).SetQuestion("c.test.", kind)
			q.Id = 0x0102
			word := strings.Fields(text)[0]
			f.Add(misbehave(word, text, "udp", q)[0], kind == dns.TypeSRV)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, isSRV bool) {
		q := dns.Question{Name: "c.test.", Qtype: dns.TypeA, Qclass: dns.ClassINET}
		if isSRV {
			q.Qtype = dns.TypeSRV
		}
		a, err := decode(raw, 0x0102, q)
		if err != nil {
			return
		}
		for _, ip := range a.addrs {
			if !ip.IsValid() || ip.Is4In6() || isSRV {
				t.Fatalf("address %s", ip)
			}
		}
		if a.ttl < 0 || a.ttl > 1<<31*1e9 || len(a.addrs)+len(a.srv) > len(raw) {
			t.Fatalf("%+v", a)
		}
		if said(a, q, "x") == nil && len(a.addrs)+len(a.srv) == 0 {
			t.Fatal("an answer without records is no error")
		}
		names, err := targetNames(a.srv)
		if err != nil {
			return
		}
		for _, name := range names {
			if !isHostName(name) {
				t.Fatalf("target %q", name)
			}
		}
	})
}
