package route

// That the hot calls allocate nothing, and what they cost.

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

const speedTable = `
ignore-port
host named www.example.com *.example.com
  prefix=/hash => cluster=c prefix-rewrite=/new hash=cookie:id:60 hash=header:x-user hash=source-ip hash=query:k
  path=/header header=x-a:exact:one header=x-b:prefix:t header=x-c:contains-any-case:HREE query=k:exact:v => weighted=a:1 weighted=b:2
    request set x-level route
  path=/grpc grpc header=n:range:1..5 => cluster=c host=new.example
  regex=/regex/[a-z]+ => cluster=c
  prefix=/redirect => redirect https host=new prefix-rewrite=/other
  prefix=/ => cluster=c
host rest *
  prefix=/ => cluster=c
`

func speedRequest(path string) *Request {
	r := &Request{
		Method: []byte("GET"), Scheme: []byte("http"), Host: []byte("WWW.Example.com:8080"), Path: []byte(path),
		ForwardedProto: []byte("http"),
	}
	for _, h := range []string{
		"User-Agent:curl/8.0", "Accept:*/*", "Accept-Encoding:gzip", "Cookie:a=b; c=d", "X-User:u", "x-user:v",
		"Content-Type:application/grpc", "X-A:one", "X-B:two", "X-C:Three", "N:3",
	} {
		name, value, _ := strings.Cut(h, ":")
		r.Headers = append(r.Headers, Header{Name: []byte(name), Value: []byte(value)})
	}
	return r
}

func speedConn() *Conn {
	return &Conn{
		Remote: netip.MustParseAddrPort("[2001:db8::1]:40000"), Local: netip.MustParseAddrPort("127.0.0.1:80"),
		Client: netip.MustParseAddr("2001:db8::1"),
	}
}

func TestNothingIsAllocated(t *testing.T) {
	table := mustCompile(t, readTable(t, speedTable))
	conn, buf := speedConn(), make([]byte, 0, 512)
	for _, path := range []string{"/hash/x?k=v", "/header?k=v", "/grpc", "/regex/abc", "/redirect/x?q", "/other"} {
		t.Run(path, func(t *testing.T) {
			req := speedRequest(path)
			got := testing.AllocsPerRun(100, func() { route(table, req, conn, buf) })
			if got != 0 {
				t.Errorf("%v allocations", got)
			}
		})
	}
	req := speedRequest("/header?k=v")
	if r := table.Match(req, 1); r.Targets() != 2 {
		t.Error("the route by headers is not taken")
	}
}

// route asks a table all that a room asks it about one request.
func route(table *Table[string], req *Request, conn *Conn, buf []byte) {
	r := table.Match(req, 1)
	if r.Kind != Forward {
		r.AppendLocation(buf, req)
		return
	}
	_, t, _ := r.Cluster(req, 1, conn)
	Apply(t.RequestOps, none{}, nil)
	r.AppendHost(buf, req)
	r.AppendPath(buf, req.Path)
	h := r.Hash(req, conn)
	if h.SetsCookie() {
		r.AppendSetCookie(buf, &h, 0)
	}
}

// none is a header list that is empty and stays so.
type none struct{}

func (none) Has(string) bool    { return false }
func (none) Remove(string)      {}
func (none) Set(string, string) {}
func (none) Add(string, string) {}

func BenchmarkMatch(b *testing.B) {
	hosts, prefixes, exact := "", "host h *\n", "host h *\n"
	for i := range 100 {
		hosts += fmt.Sprintf("host h%d host%d.example.com *.host%d.example.com\n prefix=/ => cluster=c\n", i, i, i)
		prefixes += fmt.Sprintf(" prefix=/api/v1/resource%02d/ => cluster=c\n", i)
		exact += fmt.Sprintf(" path=/api/v1/resource%02d => cluster=c\n", i)
	}
	bench := func(name, table, host, path string) {
		b.Run(name, func(b *testing.B) {
			t := mustCompile(b, readTable(nil, table))
			req := speedRequest(path)
			req.Host = []byte(host)
			if t.Match(req, 0) == nil {
				b.Fatal("no route")
			}
			b.ReportAllocs()
			for b.Loop() {
				t.Match(req, 0)
			}
		})
	}
	bench("star", "host h *\n prefix=/ => cluster=c", "example.com", "/some/path?query")
	bench("host-of-100", hosts, "host77.example.com", "/some/path?query")
	bench("suffix-of-100", hosts, "www.host77.example.com", "/some/path?query")
	bench("last-prefix-of-100", prefixes, "x", "/api/v1/resource99/12?query")
	bench("last-path-of-100", exact, "x", "/api/v1/resource99?query")
	bench("three-headers", speedTable, "www.example.com", "/header?k=v")
}

func BenchmarkWhole(b *testing.B) {
	table := mustCompile(b, readTable(nil, speedTable))
	conn, buf := speedConn(), make([]byte, 0, 512)
	for _, path := range []string{"/other", "/hash/x?k=v", "/redirect/x?q"} {
		b.Run(path[1:5], func(b *testing.B) {
			req := speedRequest(path)
			b.ReportAllocs()
			for b.Loop() {
				route(table, req, conn, buf)
			}
		})
	}
}
