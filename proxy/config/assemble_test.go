package config

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata")

// Each script is a story of what the sources say, and what then stands. A step
// says everything anew; a line that was there before is the same value.
//
//	cluster NAME [eds[=NAME]] [ring=SIZE] [tls=SECRET]
//	endpoints NAME HOSTS [COLLECTION…]
//	collection NAME HOSTS
//	table NAME CLUSTER… [strict]
//	listener NAME PORT table=NAME | tcp=CLUSTER | inline=CLUSTER [tls=SECRET]
//	secret NAME VERSION [kind=certificate|validation|missing]
//
// A SECRET is shown by SDS, one that begins with "static-" is a static one.
//
//	=>             what stands, waits and is refused
func TestAssemble(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(script))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(script), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// play writes a script again with what comes of it.
func play(t *testing.T, script string) string {
	var out strings.Builder
	said := map[string]any{}
	var before *Snapshot
	for step := range strings.SplitSeq(strings.TrimSuffix(script, "\n"), "\n\n") {
		var now Resources
		for line := range strings.SplitSeq(step, "\n") {
			if line == "=>" {
				break
			}
			out.WriteString(line + "\n")
			if line != "" && line[0] != '#' {
				say(t, said, line, &now)
			}
		}
		snap, pending, problems := Assemble(before, now)
		out.WriteString("=>\n" + show(snap, before))
		for _, p := range pending {
			out.WriteString("  " + p.String() + "\n")
		}
		for _, p := range problems {
			out.WriteString("  " + p.Error() + "\n")
		}
		out.WriteString("\n")
		before = snap
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// say adds what a line says.
func say(t *testing.T, said map[string]any, line string, now *Resources) {
	if said[line] == nil {
		said[line] = value(t, strings.Fields(line))
	}
	switch v := said[line].(type) {
	case *Cluster:
		now.Clusters = append(now.Clusters, v)
	case *Endpoints:
		now.Endpoints = append(now.Endpoints, v)
	case *Collection:
		now.Collections = append(now.Collections, v)
	case *RouteTable:
		now.RouteTables = append(now.RouteTables, v)
	case *Listener:
		now.Listeners = append(now.Listeners, v)
	case *Secret:
		now.Secrets = append(now.Secrets, v)
	}
}

func value(t *testing.T, words []string) any {
	name, rest := words[1], words[2:]
	switch words[0] {
	case "cluster":
		return testCluster(name, rest)
	case "endpoints":
		n := 0
		_, err := fmt.Sscan(rest[0], &n)
		if err != nil {
			t.Fatal(err)
		}
		e := testEndpoints(n)
		e.Cluster = name
		for _, list := range rest[1:] {
			e.Localities = append(e.Localities, Locality{Collection: list})
		}
		return e
	case "collection":
		n := 0
		_, err := fmt.Sscan(rest[0], &n)
		if err != nil {
			t.Fatal(err)
		}
		return &Collection{Name: name, Endpoints: testEndpoints(n).Localities[0].Endpoints}
	case "table":
		return testTable(name, rest)
	case "listener":
		return testListener(name, rest[0], rest[1], rest[2:])
	case "secret":
		return testSecret(name, rest[0], rest[1:])
	}
	t.Fatalf("what is %q?", words)
	return nil
}

func testCluster(name string, words []string) *Cluster {
	c := &Cluster{Name: name}
	for _, w := range words {
		key, v, _ := strings.Cut(w, "=")
		switch key {
		case "eds":
			c.Discovery, c.EDSName = DiscoveryEDS, name
			if v != "" {
				c.EDSName = v
			}
		case "tls":
			c.TLS = &UpstreamTLS{TLS: testContext(v)}
		case "ring":
			c.Balance.Kind = RingHashLB
			_, _ = fmt.Sscan(v, &c.Balance.MinRing)
			c.Balance.MaxRing = c.Balance.MinRing
			if c.Discovery != DiscoveryEDS {
				c.Endpoints = *testEndpoints(1)
			}
		}
	}
	return c
}

// testContext is a context that shows one secret.
func testContext(name string) TLS {
	r := SecretRef{Key: name, Name: name, Source: Source{Kind: SourceADS}}
	if strings.HasPrefix(name, "static-") {
		r.Source = Source{}
	}
	return TLS{Certificates: []SecretRef{r}}
}

// testSecret is one that was read; the version is its content.
func testSecret(name, version string, words []string) *Secret {
	s := &Secret{Key: name, Name: name, Certificate: &Certificate{Path: version}}
	copy(s.sum[:], version)
	switch strings.Join(words, " ") {
	case "kind=validation":
		s.Certificate, s.Validation = nil, &Validation{}
	case "kind=missing":
		s.Certificate, s.Missing = nil, true
	}
	return s
}

// showMaterial is what a context is served with.
func showMaterial(s, before *Snapshot, c *TLS) string {
	m := s.Material(c)
	text := " with"
	for _, x := range m.Certificates {
		text += " " + x.Path
	}
	if m.Missing != "" {
		text += " " + m.Missing + " missing"
	}
	if before.Material(c) != m {
		text += "*"
	}
	return text
}

func testEndpoints(n int) *Endpoints {
	l := Locality{}
	for i := range n {
		l.Endpoints = append(l.Endpoints, &Endpoint{Address: Address{IP: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80)}, Weight: 1})
	}
	return &Endpoints{Localities: []Locality{l}}
}

func testTable(name string, clusters []string) *RouteTable {
	t := &RouteTable{Name: name, VirtualHosts: []*VirtualHost{{Name: "v", Domains: []string{"*"}}}}
	for _, c := range clusters {
		if c == "strict" {
			t.ValidateClusters = true
			continue
		}
		t.VirtualHosts[0].Routes = append(t.VirtualHosts[0].Routes, &Route{Action: &Forward{Cluster: c}})
	}
	return t
}

func testListener(name, port, serves string, words []string) *Listener {
	l := &Listener{Name: name, BindToPort: true, Address: Address{IP: netip.MustParseAddrPort("127.0.0.1:" + port)}}
	kind, v, _ := strings.Cut(serves, "=")
	var h Handler
	switch kind {
	case "table":
		h = &HTTP{RouteTableName: v}
	case "tcp":
		h = &TCP{Clusters: []WeightedCluster{{Name: v}}}
	case "inline":
		h = &HTTP{Routes: testTable("own", []string{v, "strict"})}
	}
	l.Chains = []FilterChain{{Handler: h}}
	for _, w := range words {
		if secret, ok := strings.CutPrefix(w, "tls="); ok {
			l.Chains[0].TLS = &DownstreamTLS{TLS: testContext(secret)}
		}
		if namespace, ok := strings.CutPrefix(w, "in="); ok {
			l.Address.Namespace = namespace
		}
	}
	return l
}

// show lists what stands; a mark says that it is another value than before.
func show(s, before *Snapshot) string {
	var b strings.Builder
	if before == nil {
		before = &Snapshot{}
	}
	say := func(changed bool, format string, args ...any) {
		mark := " "
		if changed {
			mark = "*"
		}
		fmt.Fprintf(&b, "  "+mark+format+"\n", args...)
	}
	for _, l := range s.Listeners {
		with := ""
		if t := l.Chains[0].TLS; t != nil {
			with = showMaterial(s, before, &t.TLS)
		}
		say(before.Listener(l.Name) != l, "listener %s %s%s", l.Name, l.Address.Place(), with)
	}
	for _, t := range s.RouteTables {
		var to []string
		for _, r := range t.VirtualHosts[0].Routes {
			to = append(to, r.Action.(*Forward).Cluster)
		}
		say(before.RouteTable(t.Name) != t, "table %s to %s", t.Name, strings.Join(to, " "))
	}
	for _, c := range s.Clusters {
		hosts := 0
		for _, l := range c.Endpoints.Localities {
			hosts += len(l.Endpoints)
		}
		with := ""
		if c.TLS != nil {
			with = showMaterial(s, before, &c.TLS.TLS)
		}
		say(before.Cluster(c.Name) != c, "cluster %s of %d%s", c.Name, hosts, with)
	}
	for _, name := range s.Kept {
		fmt.Fprintf(&b, "   kept %s\n", name)
	}
	return b.String()
}
