package format

// The scripts of testdata: a line for each format, and below it what it makes of
// one request. Lines that begin with { are JSON formats. Run with -update to
// rewrite the results.

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"flag"
	"math/big"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/codec/http1"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/streaminfo"
	"github.com/attache-mesh/attache/proxy/transport"
)

var update = flag.Bool("update", false, "rewrite the results in testdata")

func text(s string) config.Value { return config.Value{Kind: config.ValueText, Text: s} }

func lines(pairs ...string) (all []http1.Header) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, http1.Header{Name: []byte(pairs[i]), Value: []byte(pairs[i+1])})
	}
	return all
}

// aRequest is what the scripts' formats look at.
func aRequest() *streaminfo.View {
	spiffe, _ := url.Parse("spiffe://cluster.local/ns/a")
	cert := &x509.Certificate{
		Raw: []byte("cert"), SerialNumber: big.NewInt(0x1234), Subject: pkix.Name{CommonName: "client", Organization: []string{"o"}},
		Issuer: pkix.Name{CommonName: "ca"}, DNSNames: []string{"a.example", "b.example"}, URIs: []*url.URL{spiffe},
		NotBefore: time.Unix(1_700_000_000, 0), NotAfter: time.Unix(1_900_000_000, 0),
	}
	const ms = int64(time.Millisecond)
	i := &streaminfo.Info{
		Conn: &streaminfo.Conn{
			ID: 7, Peer: netip.MustParseAddrPort("10.0.0.9:4000"), Local: netip.MustParseAddrPort("10.0.0.1:80"),
			TLS:   &transport.State{ServerName: "Www.Exa_mple", Version: 0x0304, Cipher: 0x1301, Peer: []*x509.Certificate{cert}},
			Place: &streaminfo.Place{Chain: "chain"},
		},
		Remote: netip.MustParseAddrPort("1.2.3.4:0"), Protocol: streaminfo.HTTP11,
		Times: streaminfo.Times{
			Began: 1000 * ms, RequestEnd: 1002 * ms, ConnectBegan: 1001 * ms, ConnectEnd: 1003 * ms,
			UpstreamSendBegan: 1003 * ms, UpstreamSendEnd: 1004 * ms, UpstreamRecvBegan: 1010 * ms,
			UpstreamRecvEnd: 1012 * ms, SendBegan: 1011 * ms, SendEnd: 1013*ms + 1500, Ended: 1014 * ms,
		},
		RequestID: []byte("the-id"), Route: &config.Route{Name: "route", Metadata: config.FilterMetadata{"r": {"k": text("v")}}},
		Outcome: outcome.Timeout, Flags: streaminfo.UpstreamRequestTimeout | streaminfo.DelayInjected, Status: 504,
		Bytes: streaminfo.Bytes{Received: 11, Sent: 22, RequestHead: 33, WireSent: 44}, Attempts: 2,
		Upstream: streaminfo.Upstream{
			Cluster: &config.Cluster{Name: "cluster", AltStatName: "alt"}, Host: &config.Endpoint{Address: config.Address{IP: netip.MustParseAddrPort("10.1.1.1:8080")}},
			Local: netip.MustParseAddrPort("[::1]:5000"), Protocol: streaminfo.HTTP2,
		},
	}
	i.Metadata.Set("ns", map[string]config.Value{
		"text": text("a \"quoted\" text"), "n": {Kind: config.ValueNumber, Number: 1.5},
		"deep": {Kind: config.ValueStruct, Fields: map[string]config.Value{"k": {Kind: config.ValueBool, Bool: true}}},
	})
	_ = i.State.Set(streaminfo.Object{Name: "obj", Text: "plain", Fields: config.Value{Kind: config.ValueStruct, Fields: map[string]config.Value{"f": text("field")}}})
	return &streaminfo.View{
		Info: i, Now: 1014 * ms, Wall: time.Unix(1_700_000_001, 234_567_890), Body: "upstream request timeout", Log: streaminfo.DownstreamEnd,
		Request: &streaminfo.Request{
			Method: []byte("GET"), Scheme: []byte("http"), Host: []byte("host:80"), Path: []byte("/p?q=a%20b&r=1"),
			Headers: lines("User-Agent", "curl", "content-type", "application/grpc", "x-envoy-original-path", "/old?x", "x-utf", "\xff\n\"é"),
		},
		Response: lines("content-type", "text/plain"), Trailers: lines("grpc-status", "5"), Answered: true,
	}
}

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for line := range strings.Lines(string(raw)) {
			if strings.HasPrefix(line, "    ") {
				continue
			}
			got.WriteString(line)
			if line = strings.TrimSuffix(line, "\n"); line != "" && line[0] != '#' {
				got.WriteString("    " + answer(line) + "\n")
			}
		}
		if *update {
			if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if got.String() != string(raw) {
			t.Errorf("%s differs; -update rewrites it. Got:\n%s", file, got.String())
		}
	}
}

func answer(line string) string {
	b := &config.BodyFormat{}
	if line[0] == '{' {
		var v any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			return err.Error()
		}
		tree, err := treeOf(v)
		if err != nil {
			return err.Error()
		}
		b.JSON = tree
	} else {
		line, b.OmitEmpty = strings.CutPrefix(line, "omit ")
		f, err := config.ParseHeaderFormat(line)
		if err != nil {
			return "! " + err.Error()
		}
		b.Text = f
	}
	out := CompileBody(b, nil).Append(nil, aRequest())
	if b.JSON != nil && !json.Valid(out) {
		return "not JSON: " + string(out)
	}
	return string(bytes.TrimSuffix(out, []byte("\n")))
}

func treeOf(v any) (*config.FormatTree, error) {
	n := &config.FormatTree{}
	switch v := v.(type) {
	case string:
		if strings.Contains(v, "%") {
			f, err := config.ParseFormat(v)
			n.Format = f
			return n, err
		}
		n.Plain = text(v)
	case float64:
		n.Plain = config.Value{Kind: config.ValueNumber, Number: v}
	case bool:
		n.Plain = config.Value{Kind: config.ValueBool, Bool: v}
	case []any:
		n.Kind = config.ValueList
		for _, item := range v {
			c, err := treeOf(item)
			if err != nil {
				return nil, err
			}
			n.List = append(n.List, *c)
		}
	case map[string]any:
		n.Kind = config.ValueStruct
		for _, key := range sortedKeys(v) {
			c, err := treeOf(v[key])
			if err != nil {
				return nil, err
			}
			n.Keys, n.Fields = append(n.Keys, key), append(n.Fields, *c)
		}
	}
	return n, nil
}

// The default access log and a header cost no allocation.
func TestAppendAllocatesNothing(t *testing.T) {
	v := aRequest()
	for _, format := range []string{
		config.DefaultLogFormat, "%DYNAMIC_METADATA(ns:text)%", "%FILTER_STATE(obj:PLAIN)% %PATH(NQ)% %QUERY_PARAM(q)% %UNIQUE_ID%",
	} {
		f, err := config.ParseFormat(format)
		if err != nil {
			t.Fatal(err)
		}
		c := Compile(f, false, nil)
		buf := make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(100, func() { buf = c.Append(buf[:0], v) }); n != 0 {
			t.Errorf("%s: %v allocations", format, n)
		}
	}
}

func BenchmarkDefaultLog(b *testing.B) {
	f, err := config.ParseFormat(config.DefaultLogFormat)
	if err != nil {
		b.Fatal(err)
	}
	c, v, buf := Compile(f, false, nil), aRequest(), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = c.Append(buf[:0], v)
	}
}
