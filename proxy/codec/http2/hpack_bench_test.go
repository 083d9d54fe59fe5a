package http2

import (
	"bytes"
	"fmt"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/attache-mesh/attache/proxy/codec/http1"
)

// heads are lists as connections carry them; "%d" is what changes from one message to the next.
var heads = []struct {
	name string
	list []hpack.HeaderField
}{
	{"grpc", []hpack.HeaderField{
		{Name: ":method", Value: "POST"},
		{Name: ":scheme", Value: "http"},
		{Name: ":path", Value: "/shop.v1.Catalog/GetItem"},
		{Name: ":authority", Value: "catalog.default.svc.cluster.local:9000"},
		{Name: "content-type", Value: "application/grpc"},
		{Name: "user-agent", Value: "grpc-go/1.83.2"},
		{Name: "te", Value: "trailers"},
		{Name: "grpc-timeout", Value: "%du"},
	}},
	{"rest", []hpack.HeaderField{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "https"},
		{Name: ":path", Value: "/api/v1/items/%d?fields=name,price"},
		{Name: ":authority", Value: "items.default.svc:8080"},
		{Name: "user-agent", Value: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36"},
		{Name: "accept", Value: "application/json"},
		{Name: "accept-encoding", Value: "gzip, deflate, br, zstd"},
		{Name: "x-request-id", Value: "5f0c1f6e-2d3b-4c55-9a52-%012d"},
		{Name: "traceparent", Value: "00-4bf92f3577b34da6a3ce929d0e0e4736-%016d-01"},
	}},
	{"response", []hpack.HeaderField{
		{Name: ":status", Value: "200"},
		{Name: "server", Value: "nginx/1.22.1"},
		{Name: "date", Value: "Thu, 21 Nov 2024 03:30:00 GMT"},
		{Name: "content-type", Value: "application/json"},
		{Name: "content-length", Value: "%d"},
		{Name: "x-envoy-upstream-service-time", Value: "3"},
	}},
}

// rounds is how many messages are made beforehand: enough that what changes is always new to the table.
const rounds = 1 << 10

// lists are a head's messages.
func lists(list []hpack.HeaderField) (all [][]hpack.HeaderField) {
	for i := range rounds {
		l := append([]hpack.HeaderField(nil), list...)
		for j := range l {
			if bytes.IndexByte([]byte(l[j].Value), '%') >= 0 {
				l[j].Value = fmt.Sprintf(l[j].Value, 1000+i*7919%100000)
			}
		}
		all = append(all, l)
	}
	return all
}

// asHeaders are the same messages as attache holds them.
func asHeaders(all [][]hpack.HeaderField) (out [][]http1.Header) {
	for _, l := range all {
		var hs []http1.Header
		for _, h := range l {
			hs = append(hs, http1.Header{Name: []byte(h.Name), Value: []byte(h.Value), ID: lookup([]byte(h.Name))})
		}
		out = append(out, hs)
	}
	return out
}

// blocks are the messages as x/net's encoder or ours packs them.
func blocks(all [][]hpack.HeaderField, ours bool) (out [][]byte) {
	var buf bytes.Buffer
	theirs, e := hpack.NewEncoder(&buf), NewEncoder(4096)
	headers := asHeaders(all)
	for i, l := range all {
		buf.Reset()
		if ours {
			buf.Write(e.AppendFields(e.Begin(nil), headers[i]))
		} else {
			for _, h := range l {
				_ = theirs.WriteField(h)
			}
		}
		out = append(out, bytes.Clone(buf.Bytes()))
	}
	return out
}

func BenchmarkDecode(b *testing.B) {
	for _, h := range heads {
		for _, packer := range []string{"xnet-packed", "attache-packed"} {
			in := blocks(lists(h.list), packer == "attache-packed")
			b.Run(h.name+"/"+packer+"/attache", func(b *testing.B) {
				b.ReportAllocs()
				lim := http1.DefaultLimits()
				d := NewDecoder(4096)
				var f Fields
				for i := 0; b.Loop(); i++ {
					if i%rounds == 0 {
						d.Init(4096)
					}
					if err := d.Decode(&f, in[i%rounds], &lim); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(h.name+"/"+packer+"/xnet", func(b *testing.B) {
				b.ReportAllocs()
				var got []hpack.HeaderField
				emit := func(f hpack.HeaderField) { got = append(got, f) }
				d := hpack.NewDecoder(4096, emit)
				for i := 0; b.Loop(); i++ {
					if i%rounds == 0 {
						d = hpack.NewDecoder(4096, emit)
					}
					got = got[:0]
					if _, err := d.Write(in[i%rounds]); err != nil {
						b.Fatal(err)
					}
					_ = d.Close()
				}
			})
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, h := range heads {
		all := lists(h.list)
		headers := asHeaders(all)
		b.Run(h.name+"/attache", func(b *testing.B) {
			b.ReportAllocs()
			e := NewEncoder(4096)
			var dst []byte
			n := 0
			for i := 0; b.Loop(); i++ {
				dst = e.AppendFields(e.Begin(dst[:0]), headers[i%rounds])
				n += len(dst)
			}
			b.ReportMetric(float64(n)/float64(b.N), "B/head")
		})
		b.Run(h.name+"/xnet", func(b *testing.B) {
			b.ReportAllocs()
			var buf bytes.Buffer
			e := hpack.NewEncoder(&buf)
			n := 0
			for i := 0; b.Loop(); i++ {
				buf.Reset()
				for _, f := range all[i%rounds] {
					_ = e.WriteField(f)
				}
				n += buf.Len()
			}
			b.ReportMetric(float64(n)/float64(b.N), "B/head")
		})
	}
}
