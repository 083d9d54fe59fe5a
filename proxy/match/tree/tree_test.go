package tree

import (
	"net/netip"
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

func act(n int) config.OnMatch { return config.OnMatch{Action: n} }

func keep(n int) config.OnMatch { return config.OnMatch{Action: n, Keep: true} }

func sub(m config.Matcher) config.OnMatch { return config.OnMatch{Matcher: &m} }

func header(name string) config.MatchInput {
	return config.MatchInput{Kind: config.InputRequestHeader, Name: name}
}

func request(path string, lines ...string) *Facts {
	r := &streaminfo.Request{Method: []byte("GET"), Path: []byte(path), Host: []byte("a.example")}
	for i := 0; i < len(lines); i += 2 {
		r.Headers = append(r.Headers, streaminfo.Header{Name: []byte(lines[i]), Value: []byte(lines[i+1])})
	}
	f := OfRequest(r)
	return &f
}

// check runs a tree: want is the action, -1 for none, -2 for unknown.
func check(t *testing.T, what string, m *config.Matcher, f *Facts, want int) {
	t.Helper()
	got, v := New(m).Match(f)
	switch v {
	case None:
		got = -1
	case Unknown:
		got = -2
	case Found:
	}
	if got != want {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}

func TestLongestPrefixAndBack(t *testing.T) {
	never := sub(config.Matcher{Kind: config.MatchExact, Input: header("x"), Map: []config.MatchEntry{{Key: "y", Then: act(9)}}})
	other := act(7)
	m := &config.Matcher{Kind: config.MatchLongestPrefix, Input: header(":path"), Else: &other, Map: []config.MatchEntry{
		{Key: "/a", Then: act(1)}, {Key: "/a/b", Then: never}, {Key: "/a/b/c", Then: keep(3)}, {Key: "/ab", Then: act(4)}, {Key: "/a/", Then: act(5)},
	}}
	for path, want := range map[string]int{"/a": 1, "/ab": 4, "/a/b/c/d": 5, "/a/": 5, "/b": 7, "/abc": 4, "/ac": 1, "/": 7} {
		check(t, path, m, request(path), want)
	}
	check(t, "with x: y", m, request("/a/b/c", "x", "y"), 9)
	check(t, "without a head", m, &Facts{}, -2)
}

// What is absent, empty and not there yet are three things.
func TestAbsentEmptyNotYet(t *testing.T) {
	other := act(1)
	m := &config.Matcher{Kind: config.MatchExact, Input: header("x"), Else: &other, Map: []config.MatchEntry{{Key: "", Then: act(2)}}}
	check(t, "absent", m, request("/"), 1)
	check(t, "empty", m, request("/", "x", ""), 2)
	check(t, "not yet", m, &Facts{}, -2)

	answer := config.Predicate{Input: config.MatchInput{Kind: config.InputStatusClass}, Test: config.InputTest{String: config.StringMatch{Value: "2xx"}}}
	asked := config.Predicate{Input: header("x"), Test: config.InputTest{String: config.StringMatch{Value: "y"}}}
	list := func(p config.Predicate) *config.Matcher {
		return &config.Matcher{Kind: config.MatchInOrder, List: []config.FieldMatch{{If: p, Then: act(3)}}, Else: &other}
	}
	or := config.Predicate{Kind: config.PredicateOr, Of: []config.Predicate{answer, asked}}
	and := config.Predicate{Kind: config.PredicateAnd, Of: []config.Predicate{asked, answer}}
	not := config.Predicate{Kind: config.PredicateNot, Of: []config.Predicate{answer}}
	check(t, "either, the other holds", list(or), request("/", "x", "y"), 3)
	check(t, "either, the other does not", list(or), request("/"), -2)
	check(t, "both", list(and), request("/", "x", "y"), -2)
	check(t, "both, one fails", list(and), request("/"), 1)
	check(t, "not", list(not), request("/"), -2)
	f := request("/")
	f.Answered, f.Info = true, &streaminfo.Info{Status: 204}
	check(t, "with an answer", list(answer), f, 3)
	check(t, "not, with an answer", list(not), f, 1)
}

func TestDomains(t *testing.T) {
	m := &config.Matcher{Kind: config.MatchDomain, Input: header(":authority"), Domains: []config.MatchDomains{
		{Domains: []string{"a.example", "*.example"}, Then: act(1)},
		{Domains: []string{"*.b.example"}, Then: act(2)},
		{Domains: []string{"c.example"}, Then: keep(3)},
		{Domains: []string{"*"}, Then: act(4)},
	}}
	for host, want := range map[string]int{"a.example": 1, "x.example": 1, "x.b.example": 2, "b.example": 1, "c.example": 1, "other": 4, "": -1} {
		f := request("/")
		f.Request.Host = []byte(host)
		check(t, host, m, f, want)
	}
}

func TestAddresses(t *testing.T) {
	prefix := netip.MustParsePrefix
	m := &config.Matcher{Kind: config.MatchIP, Input: config.MatchInput{Kind: config.InputSourceIP}, Ranges: []config.MatchRanges{
		{Ranges: []netip.Prefix{prefix("0.0.0.0/0")}, Then: act(1)},
		{Ranges: []netip.Prefix{prefix("10.0.0.0/8"), prefix("2001:db8::/32")}, Then: keep(2)},
		{Ranges: []netip.Prefix{prefix("192.168.0.0/16")}, Exclusive: true, Then: act(3)},
		{Ranges: []netip.Prefix{prefix("192.168.1.0/24")}, Then: keep(4)},
		{Ranges: []netip.Prefix{prefix("192.168.2.0/24")}, Then: act(5)},
		{Ranges: []netip.Prefix{prefix("192.168.2.0/24")}, Then: act(6)},
	}}
	for ip, want := range map[string]int{"10.1.1.1": 1, "8.8.8.8": 1, "192.168.3.1": 3, "192.168.1.1": 1, "192.168.2.1": 5, "2001:db8::1": -1, "::ffff:192.168.2.9": 5} {
		f := &Facts{View: streaminfo.View{Info: &streaminfo.Info{Conn: &streaminfo.Conn{Peer: netip.AddrPortFrom(netip.MustParseAddr(ip), 9)}}}}
		check(t, ip, m, f, want)
	}
	check(t, "no connection", m, request("/"), -1)
	byHeader := *m
	byHeader.Input = header("x-ip")
	check(t, "an address in a header", &byHeader, request("/", "x-ip", "192.168.3.9"), 3)
	check(t, "none in a header", &byHeader, request("/", "x-ip", "no"), -1)
}

func TestInputs(t *testing.T) {
	c := &streaminfo.Conn{Peer: netip.MustParseAddrPort("10.0.0.1:99"), Local: netip.MustParseAddrPort("[2001:db8::1]:443"), ServerName: "a.example"}
	c.SetDirect(netip.MustParseAddrPort("127.0.0.1:5"))
	c.SetNamespace("/run/netns/a")
	info := &streaminfo.Info{Conn: c, Status: 404}
	if err := info.State.Set(streaminfo.Object{Name: "key", Text: "value"}); err != nil {
		t.Fatal(err)
	}
	f := request("/p?a=1&b%20c=x%2Fy%zz&a=2", "h", "one", "H", "two")
	f.Info, f.Transport, f.Protocols = info, "tls", []string{"h2", "http/1.1"}
	f.Answered, f.Response = true, []streaminfo.Header{{Name: []byte("R"), Value: []byte("r")}}
	for _, x := range []struct {
		in   config.MatchInput
		want string
	}{
		{header("h"), "one,two"},
		{config.MatchInput{Kind: config.InputResponseHeader, Name: "r"}, "r"},
		{config.MatchInput{Kind: config.InputResponseHeader, Name: ":status"}, "404"},
		{config.MatchInput{Kind: config.InputStatus}, "404"},
		{config.MatchInput{Kind: config.InputStatusClass}, "4xx"},
		{config.MatchInput{Kind: config.InputQuery, Name: "a"}, "1"},
		{config.MatchInput{Kind: config.InputQuery, Name: "b c"}, "x/y%zz"},
		{config.MatchInput{Kind: config.InputDestinationIP}, "2001:db8::1"},
		{config.MatchInput{Kind: config.InputDestinationPort}, "443"},
		{config.MatchInput{Kind: config.InputSourceIP}, "10.0.0.1"},
		{config.MatchInput{Kind: config.InputSourcePort}, "99"},
		{config.MatchInput{Kind: config.InputDirectSourceIP}, "127.0.0.1"},
		{config.MatchInput{Kind: config.InputServerName}, "a.example"},
		{config.MatchInput{Kind: config.InputNamespace}, "/run/netns/a"},
		{config.MatchInput{Kind: config.InputTransportProtocol}, "tls"},
		{config.MatchInput{Kind: config.InputApplicationProtocols}, "'h2','http/1.1'"},
		{config.MatchInput{Kind: config.InputFilterState, Name: "key"}, "value"},
		{config.MatchInput{Kind: config.InputText, Text: "t"}, "t"},
	} {
		m := &config.Matcher{Kind: config.MatchExact, Input: x.in, Map: []config.MatchEntry{{Key: x.want, Then: act(1)}}}
		check(t, x.want, m, f, 1)
	}
	for _, in := range []config.MatchInput{
		{Kind: config.InputSourceType}, {Kind: config.InputNothing}, {Kind: config.InputFilterState, Name: "x"}, {Kind: config.InputQuery, Name: "x"},
	} {
		m := &config.Matcher{Kind: config.MatchExact, Input: in, Map: []config.MatchEntry{{Key: "", Then: act(1)}}}
		check(t, "absent", m, f, -1)
	}
}

func TestTests(t *testing.T) {
	f := request("/", "x", "10.1.2.3")
	f.Info = &streaminfo.Info{}
	f.Metadata.SetValue("space", "key", config.Value{Kind: config.ValueText, Text: "v"})
	for _, x := range []struct {
		what string
		in   config.MatchInput
		test config.InputTest
		want bool
	}{
		{"an address in a range", header("x"), config.InputTest{Kind: config.TestIP, Ranges: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, true},
		{"in no range", header("x"), config.InputTest{Kind: config.TestIP, Ranges: []netip.Prefix{netip.MustParsePrefix("11.0.0.0/8")}}, false},
		{"all of a hash", header("x"), config.InputTest{Kind: config.TestHash, From: 0, Modulo: 10}, true},
		{"none of a hash", header("x"), config.InputTest{Kind: config.TestHash, From: 10, Modulo: 10}, false},
		{"a hash of nothing", header("y"), config.InputTest{Kind: config.TestHash, From: 0, Modulo: 10}, false},
		{"all", header("x"), config.InputTest{Kind: config.TestFraction, Fraction: config.Fraction{Num: 100, Den: 100}}, true},
		{"none", header("x"), config.InputTest{Kind: config.TestFraction, Fraction: config.Fraction{Num: 0, Den: 100}}, false},
		{
			"metadata",
			config.MatchInput{Kind: config.InputMetadata, Namespace: "space", Path: []string{"key"}},
			config.InputTest{Kind: config.TestValue, Value: config.ValueMatch{Kind: config.MatchString, String: config.StringMatch{Value: "v"}}},
			true,
		},
		{
			"metadata that is not there, inverted",
			config.MatchInput{Kind: config.InputMetadata, Namespace: "space", Path: []string{"no"}},
			config.InputTest{Kind: config.TestValue, Invert: true, Value: config.ValueMatch{Kind: config.MatchString, String: config.StringMatch{Value: "v"}}},
			true,
		},
	} {
		want := -1
		if x.want {
			want = 1
		}
		check(t, x.what, &config.Matcher{Kind: config.MatchInOrder, List: []config.FieldMatch{
			{If: config.Predicate{Input: x.in, Test: x.test}, Then: act(1)},
		}}, f, want)
	}
}

// No tree asks for memory, whatever it looks at.
func TestNothingIsAllocated(t *testing.T) {
	c := &streaminfo.Conn{Peer: netip.MustParseAddrPort("10.0.0.1:99"), Local: netip.MustParseAddrPort("10.0.0.2:443"), ServerName: "a.example"}
	f := request("/p?a=1", "x", "y")
	f.Info = &streaminfo.Info{Conn: c}
	inner := config.Matcher{Kind: config.MatchIP, Input: config.MatchInput{Kind: config.InputSourceIP}, Ranges: []config.MatchRanges{
		{Ranges: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Then: act(1)},
	}}
	for _, in := range []config.MatchInput{{Kind: config.InputDestinationPort}, {Kind: config.InputServerName}, header("x"), {Kind: config.InputSourceIP}, {Kind: config.InputQuery, Name: "a"}} {
		var maps config.OnMatch = sub(inner)
		for _, kind := range []config.MatcherKind{config.MatchExact, config.MatchLongestPrefix} {
			var entries []config.MatchEntry
			for _, key := range []string{"443", "a.example", "y", "10.0.0.1", "1"} {
				entries = append(entries, config.MatchEntry{Key: key, Then: maps})
			}
			maps = sub(config.Matcher{Kind: kind, Input: in, Map: entries})
		}
		tree := New(&config.Matcher{Kind: config.MatchInOrder, List: []config.FieldMatch{{
			If:   config.Predicate{Input: in, Test: config.InputTest{String: config.StringMatch{Kind: config.StringContains, Value: "zz"}}},
			Then: act(2),
		}}, Else: &maps})
		found := true
		if n := testing.AllocsPerRun(100, func() {
			action, v := tree.Match(f)
			found = found && v == Found && action == 1
		}); n != 0 || !found {
			t.Errorf("input %d: %.0f allocations, found %t", in.Kind, n, found)
		}
	}
}

func BenchmarkPrefixes(b *testing.B) {
	var entries []config.MatchEntry
	for i := range 1000 {
		entries = append(entries, config.MatchEntry{Key: "/service/" + string(rune('a'+i%26)) + "/" + string(rune('a'+i/26)), Then: act(i)})
	}
	tree, f := New(&config.Matcher{Kind: config.MatchLongestPrefix, Input: header(":path"), Map: entries}), request("/service/q/f/more")
	b.ReportAllocs()
	for b.Loop() {
		if _, v := tree.Match(f); v != Found {
			b.Fatal(v)
		}
	}
}
