package route

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzMatch: no request panics, path conditions do not see the query, and what is appended stands behind what was there.
func FuzzMatch(f *testing.F) {
	table := mustCompile(f, readTable(nil, strings.ReplaceAll(speedTable, " query=k:exact:v", "")+`
host odd *.odd odd* o*
  separated=/s any-case => cluster=c prefix-rewrite=s
  prefix=/ÄB any-case => cluster=c "regex-rewrite=(a*)->\1x"
  path=* => cluster=c "host-regex=.*->x"
  connect => redirect strip-query
  prefix= => redirect port=1 "regex-rewrite=/a->"
`))
	f.Add("GET", "WWW.example.com:80", "/hash/x", "k=v", "cookie", "id=\"a\"; b", uint64(1))
	f.Add("GET", "a.odd", "/S/x;y", "", "x-a", "one", uint64(0))
	f.Add("CONNECT", "odd[]:", "", "&&=", "upgrade", "connect-udp", uint64(2))
	f.Add("GET", "[::1]:", "*", "?#", "", "", uint64(3))
	f.Fuzz(func(t *testing.T, method, host, path, query, name, value string, random uint64) {
		path, _, _ = strings.Cut(path, "?")
		path, _, _ = strings.Cut(path, "#")
		req := &Request{
			Method: []byte(method), Host: []byte(host), Path: []byte(path), Scheme: []byte("http"), ForwardedProto: []byte("http"),
			Headers: []Header{{Name: []byte(name), Value: []byte(value)}, {Name: []byte(name), Value: []byte(value)}},
		}
		r := table.Match(req, random)
		if len(path) > 0 {
			req.Path = []byte(path + "?" + query)
			if table.Match(req, random) != r {
				t.Fatal("the query changes the route")
			}
		}
		if r == nil {
			return
		}
		before := []byte("before")
		after := appendAll(r, req, before, random)
		if !bytes.HasPrefix(after, before) {
			t.Fatalf("%q was overwritten: %q", before, after)
		}
	})
}

// appendAll makes a route say all that it can.
func appendAll(r *Route[string], req *Request, dst []byte, random uint64) []byte {
	if r.Kind != Forward {
		return r.AppendLocation(dst, req)
	}
	conn := speedConn()
	r.Cluster(req, random, conn)
	dst, _ = r.AppendHost(dst, req)
	dst, _ = r.AppendPath(dst, req.Path)
	h := r.Hash(req, conn)
	for n, more := 0, true; more; n++ {
		dst, more = r.AppendSetCookie(dst, &h, n)
	}
	return dst
}
