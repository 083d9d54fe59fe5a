package http2

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/attache-mesh/attache/proxy/codec/http1"
)

func pack(fields ...string) []byte {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return block.Bytes()
}

// repeat is fields of one name, n times.
func repeat(name, value string, n int) (fields []string) {
	for range n {
		fields = append(fields, name, value)
	}
	return fields
}

// TestBombs: what is too much fails the stream alone, takes no memory past the limits, and leaves the table as the
// peer has it.
func TestBombs(t *testing.T) {
	lim := http1.DefaultLimits()
	large := strings.Repeat("x", 3900)
	for _, c := range []struct {
		name  string
		block []byte
		want  http1.Error
	}{
		{"an entry of 4 KB, 16,000 times", append(pack("bomb", large), bytes.Repeat([]byte{0x80 | 62}, 16000)...), http1.ErrHeadersTooLarge},
		{"10,000 cookies", pack(repeat("cookie", "a=b", 10000)...), http1.ErrTooManyHeaders},
		{"10,000 names of no length", pack(repeat("", "", 10000)...), http1.ErrTooManyHeaders},
		{"a value of 100 KB", pack("long", strings.Repeat("y", 100<<10)), http1.ErrHeadersTooLarge},
		{"literals of 4 KB that are never kept", bytes.Repeat(append([]byte("\x10\x01n\x7f\xbd\x1d"), strings.Repeat("z", 3900)...), 50), http1.ErrHeadersTooLarge},
		{"101 fields", pack(repeat("a", "b", 101)...), http1.ErrTooManyHeaders},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := NewDecoder(4096)
			var f Fields
			for range 3 { // the same on a connection that saw it before
				if err := d.Decode(&f, c.block, &lim); err != c.want {
					t.Fatal(err)
				}
				if len(f.Headers) > lim.MaxHeaders || f.Size <= lim.MaxHeaderBytes && c.want == http1.ErrHeadersTooLarge {
					t.Errorf("%d fields of %d", len(f.Headers), f.Size)
				}
				if most := max(4*lim.MaxHeaderBytes, 2*maxUnpacked(len(c.block))); cap(f.arena) > most {
					t.Errorf("%d bytes for a list of at most %d in %d", cap(f.arena), lim.MaxHeaderBytes, len(c.block))
				}
				checkTable(t, &d.table)
			}
			f.Reset()
			if cap(f.arena) > keptArena || cap(f.Headers) > keptFields {
				t.Error("kept", cap(f.arena), cap(f.Headers))
			}
		})
	}
}

// TestTableAfterBomb: entries that came after the limit count.
func TestTableAfterBomb(t *testing.T) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := range 150 {
		_ = enc.WriteField(hpack.HeaderField{Name: fmt.Sprintf("n%d", i), Value: "v"})
	}
	lim := http1.DefaultLimits()
	d := NewDecoder(4096)
	var f Fields
	if err := d.Decode(&f, block.Bytes(), &lim); err != http1.ErrTooManyHeaders {
		t.Fatal(err)
	}
	block.Reset()
	_ = enc.WriteField(hpack.HeaderField{Name: "n149", Value: "v"})
	if block.Len() != 1 {
		t.Fatal("not an index")
	}
	if err := d.Decode(&f, block.Bytes(), &lim); err != nil || string(f.Headers[0].Name) != "n149" {
		t.Fatal(err, f.Headers)
	}
}

// TestFieldsOutliveTheTable: what a stream holds does not change while other streams' blocks come in.
func TestFieldsOutliveTheTable(t *testing.T) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	d := NewDecoder(4096)
	lim := http1.DefaultLimits()
	var first, other Fields
	for range 2 { // the second time by index
		block.Reset()
		_ = enc.WriteField(hpack.HeaderField{Name: "first", Value: "value"})
		if err := d.Decode(&first, block.Bytes(), &lim); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		block.Reset()
		_ = enc.WriteField(hpack.HeaderField{Name: fmt.Sprint("other", i), Value: strings.Repeat("x", 50)})
		if err := d.Decode(&other, block.Bytes(), &lim); err != nil {
			t.Fatal(err)
		}
	}
	if h := first.Headers[0]; string(h.Name) != "first" || string(h.Value) != "value" {
		t.Fatalf("%s: %s", h.Name, h.Value)
	}
}

// TestTableSizes: who may change what when (RFC 7541 4.2, 6.3).
func TestTableSizes(t *testing.T) {
	lim := http1.DefaultLimits()
	update := func(n uint32) []byte { return appendInt(nil, 0x20, 5, n) }
	get := []byte{0x82}
	for _, c := range []struct {
		name   string
		table  uint32
		told   bool
		blocks [][]byte
		want   error
	}{
		{"the initial size", 4096, true, [][]byte{append(update(4096), get...)}, nil},
		{"more than that", 4096, true, [][]byte{append(update(4097), get...)}, errUpdate},
		{"twice in one block", 4096, true, [][]byte{append(append(update(0), update(4096)...), get...)}, nil},
		{"behind a field", 4096, true, [][]byte{append(bytes.Clone(get), update(0)...)}, errLateUpdate},
		{"more was allowed", 65536, true, [][]byte{append(update(65536), get...)}, nil},
		{"less was asked for and not yet known", 0, false, [][]byte{get, append(update(4096), get...)}, nil},
		{"less was asked for, known and ignored", 0, true, [][]byte{get}, errNoUpdate},
		{"less was asked for, known and done", 0, true, [][]byte{append(update(0), get...), get}, nil},
		{"less was asked for, and too much taken", 100, true, [][]byte{append(update(101), get...)}, errUpdate},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := NewDecoder(c.table)
			if c.told {
				d.Told()
			}
			var f Fields
			for _, b := range c.blocks {
				if err := d.Decode(&f, b, &lim); err != nil {
					if err != c.want {
						t.Fatal(err)
					}
					return
				}
			}
			if c.want != nil {
				t.Fatal("no error")
			}
		})
	}
}

// TestMalformedBlocks end the connection.
func TestMalformedBlocks(t *testing.T) {
	lim := http1.DefaultLimits()
	for _, c := range []struct {
		name, block string
		want        error
	}{
		{"index 0", "\x80", errIndex},
		{"an index past both tables", "\xbe", errIndex},
		{"a name past both tables", "\x7e\x01v", errIndex},
		{"an integer cut off", "\xff", errInteger},
		{"an integer without end", "\xff\x80\x80\x80\x80\x80\x80\x80\x01", errInteger},
		{"an integer of 2^31", "\xff\x81\xff\xff\xff\x07", errInteger},
		{"no value", "\x40\x01n", errString},
		{"a string longer than the block", "\x40\x01n\x05abcd", errString},
		{"the end of string in a string", "\x40\x01n\x84\xff\xff\xff\xff", errHuffman},
		{"eight bits of padding", "\x40\x01n\x82\x1f\xff", errHuffman},
		{"padding with zeros", "\x40\x01n\x81\x18", errHuffman},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f Fields
			err := NewDecoder(4096).Decode(&f, []byte(c.block), &lim)
			if err != c.want {
				t.Fatal(err)
			}
			if e := err.(*Error); e.Code != CompressionError || e.Stream != 0 {
				t.Fatal(e)
			}
		})
	}
}
