package cel

import (
	"net/netip"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/expression"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

func view() *streaminfo.View {
	info := &streaminfo.Info{
		Conn:   &streaminfo.Conn{ID: 7, Peer: netip.MustParseAddrPort("10.0.0.1:99"), Local: netip.MustParseAddrPort("[2001:db8::1]:443")},
		Remote: netip.MustParseAddrPort("192.0.2.9:0"), Protocol: streaminfo.HTTP11, Status: 404, Attempts: 2,
		Route: &config.Route{Name: "r", Metadata: config.FilterMetadata{"a": {"n": {Kind: config.ValueNumber, Number: 3}}}},
	}
	info.Times.Began, info.Times.RequestEnd = int64(time.Second), int64(3*time.Second)
	info.Metadata.SetValue("space", "list", config.Value{Kind: config.ValueList, List: []config.Value{{Kind: config.ValueText, Text: "x"}}})
	_ = info.State.Set(streaminfo.Object{Name: "key", Text: "value"})
	return &streaminfo.View{
		Info: info, Answered: true, Now: int64(5 * time.Second), Wall: time.Unix(100, 0),
		Request: &streaminfo.Request{
			Method: []byte("GET"), Scheme: []byte("http"), Host: []byte("a.example"), Path: []byte("/p/q?x=1#f"),
			Headers: []streaminfo.Header{
				{Name: []byte("X-A"), Value: []byte("one")}, {Name: []byte("x-a"), Value: []byte("two")}, {Name: []byte("content-length"), Value: []byte("12")},
			},
		},
		Response: []streaminfo.Header{{Name: []byte("x-r"), Value: []byte("r")}},
		Trailers: []streaminfo.Header{{Name: []byte("grpc-status"), Value: []byte("5")}},
	}
}

// Every attribute, as the text of its value; "-" for none.
func TestAttributes(t *testing.T) {
	v := view()
	for text, want := range map[string]string{
		`request.path`: "/p/q?x=1#f", `request.url_path`: "/p/q", `request.query`: "x=1", `request.host`: "a.example",
		`request.scheme`: "http", `request.method`: "GET", `request.headers['x-a']`: "one,two", `request.headers["X-A"]`: "one,two",
		`request.headers[':path']`: "/p/q?x=1#f", `request.headers['none']`: "-", `'none' in request.headers`: "false", `'x-a' in request.headers`: "true",
		`request.size`: "12", `request.duration`: "2s", `request.time`: "1970-01-01T00:01:36+00:00", `request.protocol`: "HTTP/1.1",
		`request.referer`: "-", `request.nothing`: "-", `has(request.path)`: "true", `has(request.referer)`: "false",
		`response.code`: "404", `response.headers['x-r']`: "r", `response.trailers['grpc-status']`: "5", `response.grpc_status`: "5",
		`source.address`: "192.0.2.9:0", `source.port`: "0", `destination.address`: "[2001:db8::1]:443", `destination.port`: "443",
		`connection.id`: "7", `connection.mtls`: "false", `connection.tls_version`: "-", `upstream.request_attempt_count`: "2",
		`xds.route_name`: "r", `xds.route_metadata.filter_metadata.a.n`: "3", `xds.cluster_name`: "-",
		`filter_state.key`: "value", `filter_state['key'] == b'value'`: "true", `filter_state.other`: "-",
		`metadata.filter_metadata.space.list[0]`: "x", `metadata.filter_metadata['space']['list'][1]`: "-", `metadata.filter_metadata.space`: "map value",
		`'x' in metadata.filter_metadata.space.list`: "true", `size(metadata.filter_metadata.space)`: "1",
		`request.path.startsWith('/p') && request.path.contains('q')`: "true", `request.path.matches('^/p/.*x=')`: "true",
		`response.code >= 400 ? 'bad' : 'good'`: "bad", `response.code / 100 == 4`: "true", `nothing.at.all`: "-", `request`: "map value",
		`request.referer == 'x' || response.code == 404`: "true", `request.referer == 'x' && response.code == 404`: "-",
		`1.5`: "1.5", `1u`: "1", `null`: "NULL",
	} {
		if _, err := expression.Parse(text); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, ok := Compile(text).Append(nil, v, false)
		if !ok {
			got = []byte("-")
		}
		if string(got) != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestJSON(t *testing.T) {
	for text, want := range map[string]string{
		`response.code`: "404", `request.path`: `"/p/q?x=1#f"`, `response.code == 404`: "true", `metadata.filter_metadata.space`: `{"list":["x"]}`, `null`: "null",
	} {
		if got, ok := Compile(text).Append(nil, view(), true); !ok || string(got) != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// Of a request of which nothing is known no expression holds.
func TestNothingIsKnown(t *testing.T) {
	if Compile("true").Match(&streaminfo.View{}) || (*Program)(nil).Match(view()) {
		t.Error("true of nothing")
	}
	v := &streaminfo.View{Info: &streaminfo.Info{}}
	for _, text := range []string{
		"request.path == ''", "request.headers['a'] == ''", "response.headers['a'] == ''", "source.address == ''", "destination.port == 0",
		"connection.mtls", "connection.id == 0u", "upstream.address == ''", "xds.cluster_name == ''", "filter_state.a == ''", "request.id == ''",
	} {
		if Compile(text).Match(v) {
			t.Errorf("%s holds", text)
		}
	}
}

// FuzzCEL reads any text: what is taken runs over a request and over nothing, twice with one end, and is cheap.
func FuzzCEL(f *testing.F) {
	for _, text := range []string{
		"request.headers['a'] == 'b' && !(response.code in [200, 404])", "request.path.matches('^/a+b*$')", "has(request.referer)",
		"metadata.filter_metadata['a'].b[0].c > 1.5", "timestamp('2020-01-01T00:00:00Z') < request.time", "{'a': [1, 2u, null]}.a[0] + 1 == 2",
		"duration('1s') + request.duration", "size(request.path) % 2 == 0 ? source.port : -destination.port", "'a' + 'b'", "[1].all(x, x > 0)",
	} {
		f.Add(text)
	}
	v := view()
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := expression.Parse(text); err != nil {
			if Compile(text) != nil {
				t.Errorf("%q: refused (%v) and compiled", text, err)
			}
			return
		}
		p := Compile(text)
		p.Match(&streaminfo.View{Info: &streaminfo.Info{}})
		one, ok := p.Append(nil, v, false)
		two, again := p.Append(nil, v, false)
		if ok != again || string(one) != string(two) {
			t.Errorf("%q: %q, then %q", text, one, two)
		}
		p.Append(nil, v, true)
	})
}

func BenchmarkMatch(b *testing.B) {
	p, v := Compile("request.headers['x-a'] == 'one,two' && response.code >= 400"), view()
	b.ReportAllocs()
	for b.Loop() {
		if !p.Match(v) {
			b.Fatal("false")
		}
	}
}
