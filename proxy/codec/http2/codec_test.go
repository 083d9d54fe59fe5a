package http2

import (
	"bytes"
	"fmt"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/attache-mesh/attache/proxy/codec/http1"
)

// TestHuffmanAgrees with x/net on every byte and on runs of them.
func TestHuffmanAgrees(t *testing.T) {
	var all []byte
	for c := range 256 {
		all = append(all, byte(c), byte(255-c), byte(c*7))
	}
	for from := 0; from < len(all); from += 5 {
		for _, n := range []int{0, 1, 2, 3, 7, 30, 61} {
			s := all[from:min(from+n, len(all))]
			want := hpack.AppendHuffmanString(nil, string(s))
			got := appendHuffman(nil, s)
			if !bytes.Equal(got, want) || huffmanLen(s) != len(want) {
				t.Fatalf("%q: %x, want %x", s, got, want)
			}
			out := make([]byte, maxUnpacked(len(got)))
			if k, ok := unpack(out, got); !ok || !bytes.Equal(out[:k], s) {
				t.Fatalf("%q came back as %q, %v", s, out[:k], ok)
			}
		}
	}
}

// TestDecodeAgrees reads what x/net writes, across many blocks.
func TestDecodeAgrees(t *testing.T) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	d := NewDecoder(4096)
	lim := http1.DefaultLimits()
	var f Fields
	for i := range 3000 {
		block.Reset()
		list := []hpack.HeaderField{
			{Name: ":method", Value: "GET"},
			{Name: ":path", Value: fmt.Sprintf("/items/%d", i%17)},
			{Name: "x-request-id", Value: fmt.Sprint(i)},
			{Name: "cookie", Value: "secret", Sensitive: true},
			{Name: fmt.Sprintf("name-%d", i%400), Value: "v"},
		}
		for _, h := range list {
			_ = enc.WriteField(h)
		}
		if err := d.Decode(&f, block.Bytes(), &lim); err != nil {
			t.Fatal(i, err)
		}
		for j, h := range list {
			got := &f.Headers[j]
			if string(got.Name) != h.Name || string(got.Value) != h.Value || got.Sensitive != h.Sensitive {
				t.Fatalf("%d: %s: %s, want %v", i, got.Name, got.Value, h)
			}
		}
	}
}

// TestEncodeAgrees: x/net reads what we write, across many blocks and table sizes.
func TestEncodeAgrees(t *testing.T) {
	var got []hpack.HeaderField
	dec := hpack.NewDecoder(4096, func(h hpack.HeaderField) { got = append(got, h) })
	e := NewEncoder(4096)
	var block []byte
	for i := range 3000 {
		if i%500 == 250 {
			e.SetMaxTable(uint32(i))
		}
		if i%500 == 400 {
			e.SetMaxTable(0)
			e.SetMaxTable(4096)
		}
		path, id := fmt.Sprintf("/items/%d", i%17), fmt.Sprint(i)
		block = e.Begin(block[:0])
		block = e.Request(block, []byte("POST"), []byte("https"), []byte("example.com"), []byte(path), nil)
		block = e.Append(block, []byte("X-Request-Id"), []byte(id), http1.FieldXRequestID)
		block = e.Append(block, []byte("cookie"), []byte("short"), http1.FieldCookie)
		block = e.Append(block, []byte("Custom"), []byte(path), http1.FieldOther)
		block = e.Append(block, []byte("user-agent"), []byte("test/1"), http1.FieldUserAgent)
		want := []hpack.HeaderField{
			{Name: ":method", Value: "POST"},
			{Name: ":scheme", Value: "https"},
			{Name: ":authority", Value: "example.com"},
			{Name: ":path", Value: path},
			{Name: "x-request-id", Value: id},
			{Name: "cookie", Value: "short", Sensitive: true},
			{Name: "custom", Value: path},
			{Name: "user-agent", Value: "test/1"},
		}
		got = got[:0]
		if _, err := dec.Write(block); err != nil {
			t.Fatal(i, err)
		}
		if err := dec.Close(); err != nil {
			t.Fatal(i, err)
		}
		if len(got) != len(want) {
			t.Fatal(i, got)
		}
		for j := range want {
			if got[j] != want[j] {
				t.Fatalf("%d: %v, want %v", i, got[j], want[j])
			}
		}
	}
}

// TestEndHeaders makes the same frames as AppendBlock.
func TestEndHeaders(t *testing.T) {
	for _, n := range []int{0, 1, 9, 10, 11, 20, 30, 99, 100} {
		block := make([]byte, n)
		for i := range block {
			block[i] = byte(i)
		}
		want := AppendBlock([]byte("before"), 7, true, block, 10)
		got := append(BeginHeaders([]byte("before")), block...)
		got = EndHeaders(got, len("before"), 7, true, 10)
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes:\n%x, want\n%x", n, got, want)
		}
	}
}
