package dns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/discovery"
)

// lookOnce looks a service up at servers and gives instances or the error.
func lookOnce(t *testing.T, o Options, service string) (string, *watch) {
	t.Helper()
	s, err := discovery.ParseService(service)
	if err != nil {
		t.Fatal(err)
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Attempts == 0 {
		o.Attempts = 1
	}
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	q, err := parse(s)
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{source: New(o), service: s, question: q, targets: map[string]*target{}}
	f, err := w.lookup(t.Context())
	return describe(f, err), w
}

func describe(f found, err error) string {
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), e.Kind.String()) {
			return "not an *Error that says its kind: " + err.Error()
		}
		return e.FailureKind()
	}
	set, _ := discovery.MakeSet("", f.instances)
	var lines []string
	for _, i := range set.Instances {
		line := i.ID
		if at := i.Addr.String(); at != i.ID {
			line += "=" + at
		}
		if i.Weight != 1 || i.Priority != 0 {
			line += fmt.Sprintf(" weight %d priority %d", i.Weight, i.Priority)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, ", ")
}

const ten = "c.test. 60 A 10.0.0.1"

func TestEveryWayToAnswer(t *testing.T) {
	for name, c := range map[string]struct{ a, aaaa, want, asked string }{
		"one":              {a: ten, want: "10.0.0.1:1"},
		"rotated":          {a: "c.test. 60 A 10.0.0.2\n" + ten, want: "10.0.0.1:1, 10.0.0.2:1"},
		"twice":            {a: ten + "\n" + ten, want: "10.0.0.1:1"},
		"v6 only":          {a: "empty", aaaa: "c.test. 60 AAAA 2001:db8::1", want: "[2001:db8::1]:1"},
		"v6 not asked":     {a: ten, aaaa: "SERVFAIL", want: "10.0.0.1:1", asked: "c.test. A"},
		"mapped":           {a: "empty", aaaa: "c.test. 60 AAAA ::ffff:10.0.0.1", want: "10.0.0.1:1"},
		"cname":            {a: "c.test. 60 CNAME d.test.\nd.test. 60 CNAME E.test.\ne.test. 60 A 10.0.0.1", want: "10.0.0.1:1"},
		"cname to nothing": {a: "c.test. 60 CNAME d.test.", aaaa: "empty", want: "empty"},
		"cname loop":       {a: "c.test. 60 CNAME d.test.\nd.test. 60 CNAME c.test.", want: "malformed"},
		"others' records":  {a: ten + "\nevil.test. 60 A 6.6.6.6\n+\nc.test. 60 A 6.6.6.6", want: "10.0.0.1:1"},
		"only others'":     {a: "evil.test. 60 A 6.6.6.6", aaaa: "empty", want: "empty"},
		"upper case":       {a: "upper C.TEST. 60 A 10.0.0.1", want: "10.0.0.1:1"},
		"unspecified":      {a: "c.test. 60 A 0.0.0.0\n" + ten, want: "10.0.0.1:1"},
		"multicast only":   {a: "c.test. 60 A 224.0.0.1", want: "denied"},

		"no such name": {a: "NXDOMAIN test. 60 SOA a. b. 1 2 3 4 30", want: "nxdomain", asked: "c.test. A"},
		"no such type": {a: "empty test. 60 SOA a. b. 1 2 3 4 30", aaaa: "empty", want: "empty", asked: "c.test. A, c.test. AAAA"},
		"half fails":   {a: "empty", aaaa: "SERVFAIL", want: "servfail"},
		"servfail":     {a: "SERVFAIL", want: "servfail"},
		"refused":      {a: "REFUSED", want: "refused"},
		"other code":   {a: "YXDOMAIN", want: "rcode"},
		"referral":     {a: "= test. 60 NS ns.test.", want: "referral"},
		"silence":      {a: "silence", want: "timeout"},

		"truncated":        {a: "truncated " + ten, want: "10.0.0.1:1", asked: "c.test. A, c.test. A tcp"},
		"truncated always": {a: "truncated-always", want: "truncated", asked: "c.test. A, c.test. A tcp"},
		"no EDNS0":         {a: "formerr-edns " + ten, want: "10.0.0.1:1", asked: "c.test. A, c.test. A plain"},
		"format error":     {a: "FORMERR", want: "rcode"},
		"not implemented":  {a: "NOTIMP", want: "rcode"},

		"spoofed":        {a: "spoofed " + ten, want: "10.0.0.1:1"},
		"wrong id":       {a: "wrong-id " + ten, want: "timeout"},
		"wrong question": {a: "wrong-question " + ten, want: "timeout"},
		"garbage":        {a: "garbage " + ten, want: "malformed"},
		"cut":            {a: "cut " + ten, want: "malformed"},
		"short":          {a: "short", want: "timeout"},
		"huge":           {a: "huge", want: "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNameserver(map[string]string{"c.test. A": c.a, "c.test. AAAA": c.aaaa})
			got, w := lookOnce(t, Options{Servers: []string{n.listen(t)}}, "dns://c.test:1")
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if asked := n.asked(); c.asked != "" && asked != c.asked {
				t.Errorf("asked %s, want %s", asked, c.asked)
			}
			checkCounters(t, w.count.read(), c.want, name)
		})
	}
}

// checkCounters: each failure has its own counter.
func checkCounters(t *testing.T, c Counters, kind, name string) {
	t.Helper()
	if strings.Contains(kind, ":") {
		kind = "answered"
	}
	if kind != "denied" && c.Outcomes[kind] == 0 || c.Queries == 0 {
		t.Errorf("%s: %+v", kind, c)
	}
	if want := map[string]uint64{"spoofed": 4, "wrong id": 1, "wrong question": 1}[name]; want > 0 && c.NotOurs != want {
		t.Errorf("%d not ours, want %d", c.NotOurs, want)
	}
}

func TestFamilies(t *testing.T) {
	n := newNameserver(map[string]string{"c.test. A": ten, "c.test. AAAA": "c.test. 60 AAAA 2001:db8::1", "four.test. A": "four.test. 60 A 10.0.0.4", "four.test. AAAA": "empty"})
	server := n.listen(t)
	for service, want := range map[string]string{
		"dns://c.test:1?family=v4":              "10.0.0.1:1",
		"dns://c.test:1?family=v6":              "[2001:db8::1]:1",
		"dns://c.test:1?family=v4_preferred":    "10.0.0.1:1",
		"dns://c.test:1?family=v6_preferred":    "[2001:db8::1]:1",
		"dns://c.test:1?family=all":             "10.0.0.1:1, [2001:db8::1]:1",
		"dns://four.test:1?family=v6":           "empty",
		"dns://four.test:1?family=v6_preferred": "10.0.0.4:1",
		"dns://four.test:1?family=all":          "10.0.0.4:1",
	} {
		if got, _ := lookOnce(t, Options{Servers: []string{server}}, service); got != want {
			t.Errorf("%s: got %s, want %s", service, got, want)
		}
	}
}

func TestServersInTurn(t *testing.T) {
	good := newNameserver(map[string]string{"c.test. A": ten})
	goodAt := good.listen(t)
	for _, first := range []string{"SERVFAIL", "REFUSED", "silence", "truncated-always", "garbage", "= test. 60 NS ns.test."} {
		bad := newNameserver(map[string]string{"c.test. A": first})
		badAt := bad.listen(t)
		got, w := lookOnce(t, Options{Servers: []string{badAt, goodAt}}, "dns://c.test:1")
		if got != "10.0.0.1:1" {
			t.Errorf("%s: got %s", first, got)
		}
		bad.asked()
		if _, err := w.lookup(t.Context()); err != nil || bad.asked() != "" {
			t.Errorf("%s: the second look begins at the server that failed", first)
		}
	}
	// A server that is not there, and one that says no: that is an answer.
	no := newNameserver(map[string]string{})
	if got, _ := lookOnce(t, Options{Servers: []string{closedPort(t), no.listen(t), goodAt}}, "dns://c.test:1"); got != "nxdomain" {
		t.Error(got)
	}
	got, w := lookOnce(t, Options{Servers: []string{closedPort(t)}, Attempts: 3}, "dns://c.test:1")
	if c := w.count.read(); got != "unreachable" || c.Outcomes["unreachable"] != 3 {
		t.Errorf("%s %+v", got, c)
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	tcp, udp := bothOnOnePort(t)
	_, _ = tcp.Close(), udp.Close()
	return tcp.Addr().String()
}

func TestSearchDomains(t *testing.T) {
	n := newNameserver(map[string]string{
		"c.one.test. A": "c.one.test. 60 A 10.0.0.1",
		"d.two.test. A": "d.two.test. 60 A 10.0.0.2",
		"e.one.test. A": "empty", "e.one.test. AAAA": "empty",
		"f.one.test. A": "SERVFAIL", "f.two.test. A": "f.two.test. 60 A 6.6.6.6",
		"g.h. A": "g.h. 60 A 10.0.0.3",
	})
	o := Options{Servers: []string{n.listen(t)}, Search: []string{"one.test", "two.test."}}
	for service, want := range map[string]string{
		"dns://c:1":   "10.0.0.1:1 after c.one.test. A",
		"dns://d:1":   "10.0.0.2:1 after d.one.test. A, d.two.test. A",
		"dns://e:1":   "empty after e.one.test. A, e.one.test. AAAA, e.two.test. A, e. A",
		"dns://f:1":   "servfail after f.one.test. A", // not another name's answer
		"dns://g.h:1": "10.0.0.3:1 after g.h. A",
		"dns://c.:1":  "nxdomain after c. A",
	} {
		got, _ := lookOnce(t, o, service)
		if got += " after " + n.asked(); got != want {
			t.Errorf("%s: got %s, want %s", service, got, want)
		}
	}
	o.Ndots = 2
	if got, _ := lookOnce(t, o, "dns://g.h:1"); got != "10.0.0.3:1" || n.asked() != "g.h.one.test. A, g.h.two.test. A, g.h. A" {
		t.Error("ndots", got)
	}
}

func TestResolvConf(t *testing.T) {
	n := newNameserver(map[string]string{"c.one.test. A": "c.one.test. 60 A 10.0.0.1"})
	_, port, _ := net.SplitHostPort(n.listen(t))
	path := filepath.Join(t.TempDir(), "resolv.conf")
	source := New(Options{ResolvConf: path})
	c, err := source.conf()
	if err != nil || c.servers[0] != "127.0.0.1:53" || c.timeout != 5*time.Second || c.attempts != 2 || c.ndots != 1 {
		t.Errorf("without a file: %+v, %v", c, err)
	}
	text := "nameserver 127.0.0.1\nnameserver ::1\nsearch one.test\noptions ndots:5 timeout:3 attempts:4\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err = source.conf() // read anew
	if err != nil || fmt.Sprint(c) != "{[127.0.0.1:53 [::1]:53] [one.test] 5 3000000000 4}" {
		t.Errorf("%+v, %v", c, err)
	}
	c.servers = []string{net.JoinHostPort("127.0.0.1", port)}
	if names := c.names("c"); fmt.Sprint(names) != "[c.one.test. c.]" {
		t.Error(names)
	}
}

func TestDeny(t *testing.T) {
	n := newNameserver(map[string]string{"c.test. A": ten + "\nc.test. 60 A 169.254.169.254", "d.test. A": "d.test. 60 A 127.0.0.1"})
	o := Options{Servers: []string{n.listen(t)}, Deny: []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("127.0.0.0/8")}}
	got, w := lookOnce(t, o, "dns://c.test:1")
	if got != "10.0.0.1:1" || w.count.read().Denied != 1 {
		t.Error(got, w.count.read())
	}
	if got, _ := lookOnce(t, o, "dns://d.test:1"); got != "denied" { // not empty: nothing is removed
		t.Error(got)
	}
}

// TestLargestAnswer: what one message by TCP can hold is taken whole.
func TestLargestAnswer(t *testing.T) {
	var b strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&b, "c.test. 60 A 10.1.%d.%d\n", i/250, i%250)
	}
	n := newNameserver(map[string]string{"c.test. A": "truncated " + b.String()})
	got, _ := lookOnce(t, Options{Servers: []string{n.listen(t)}, Timeout: 5 * time.Second}, "dns://c.test:1")
	if strings.Count(got, ",") != 3999 {
		t.Errorf("%.100s", got)
	}
}

func TestCheckService(t *testing.T) {
	s := New(Options{})
	for text, reason := range map[string]string{
		"dns://c.test":                              "wants a port by number",
		"dns://c.test:http":                         "wants a port by number",
		"dns://c/d:1":                               "no name of a host",
		"dns://10.0.0.1:1":                          "an address, not a name",
		"dns://c..d:1":                              "no name of a host",
		"srv://_x._tcp.c:1":                         "SRV records say it",
		"dns://c:1?family=v5":                       "wants one of",
		"dns://c:1?family=v4&family=v6":             "wants one of",
		"dns://c:1?ttl=5":                           `unknown parameter "ttl"`,
		"dns://c:1":                                 "",
		"srv://_x._tcp.c?family=all":                "",
		"dns://" + strings.Repeat("a.", 128) + ":1": "no name of a host",
	} {
		service, err := discovery.ParseService(text)
		if err != nil {
			t.Fatal(err)
		}
		switch err := s.Check(service); {
		case reason == "" && err != nil, reason != "" && (err == nil || !strings.Contains(err.Error(), reason)):
			t.Errorf("%s: %v, want %q", text, err, reason)
		}
	}
}

func TestOptionsCheck(t *testing.T) {
	for want, o := range map[string]Options{
		"servers[1]": {Servers: []string{"127.0.0.1:53", "localhost:53"}}, "search[0]": {Search: []string{"a..b"}},
		"ndots": {Ndots: 16}, "timeout": {Timeout: time.Hour}, "attempts": {Attempts: -1}, "confirm": {Confirm: -1},
		"below 0": {MinTTL: -1}, "below min_ttl": {MinTTL: 2, MaxTTL: 1},
	} {
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
