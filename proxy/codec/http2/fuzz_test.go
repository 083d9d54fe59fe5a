package http2

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/attache-mesh/attache/proxy/codec/http1"
)

// noLimits lets through what a fuzzer can make.
var noLimits = http1.Limits{MaxHeaderBytes: 1 << 30, MaxHeaders: 1 << 20}

// chunks cuts in into blocks: a length byte before each.
func chunks(in []byte) (out [][]byte) {
	for len(in) > 0 {
		n := min(int(in[0]), len(in)-1)
		out = append(out, in[1:1+n])
		in = in[1+n:]
	}
	return out
}

// FuzzDecode compares with x/net, block by block on one connection. They differ in what only one of them checks:
// a table size update behind a field, of which x/net lets some pass, and integers above 2^31; and x/net refuses a
// second update in a block that may have one (RFC 7541 4.2).
func FuzzDecode(f *testing.F) {
	for _, h := range heads {
		var in []byte
		for _, b := range blocks(lists(h.list), true)[:3] {
			in = append(append(in, byte(len(b))), b...)
		}
		f.Add(in)
	}
	f.Add([]byte("\x01\x80"))
	f.Add([]byte("\x07\x3f\xe1\x1f\x40\x01a\x01\x03\x20\xbe\x20"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var want []hpack.HeaderField
		theirs := hpack.NewDecoder(InitialTable, func(h hpack.HeaderField) { want = append(want, h) })
		ours := NewDecoder(InitialTable)
		var fs Fields
		for _, block := range chunks(in) {
			want = want[:0]
			_, theirErr := theirs.Write(block)
			if e := theirs.Close(); theirErr == nil {
				theirErr = e
			}
			err := ours.Decode(&fs, block, &noLimits)
			checkTable(t, &ours.table)
			switch {
			case err == nil && theirErr == nil:
				sameFields(t, &fs, want)
			case err != nil && theirErr != nil:
				return
			case errors.Is(err, errLateUpdate), errors.Is(err, errInteger):
				return
			case err == nil && strings.Contains(theirErr.Error(), "table size update"):
				return
			default:
				t.Fatalf("%x: %v, x/net: %v", block, err, theirErr)
			}
		}
	})
}

func sameFields(t *testing.T, fs *Fields, want []hpack.HeaderField) {
	t.Helper()
	if len(fs.Headers) != len(want) {
		t.Fatalf("%d fields, want %v", len(fs.Headers), want)
	}
	size := 0
	for i, h := range want {
		got := &fs.Headers[i]
		size += int(h.Size())
		if string(got.Name) != h.Name || string(got.Value) != strings.Trim(h.Value, " \t") || got.Sensitive != h.Sensitive {
			t.Fatalf("%q: %q, want %v", got.Name, got.Value, h)
		}
		if l := lookAt([]byte(h.Name), []byte(h.Value)); fs.looks[i]&^sensitive != l || got.ID != lookup([]byte(h.Name)) {
			t.Fatalf("%q: looked at wrongly: %b, want %b", got.Name, fs.looks[i], l)
		}
	}
	if fs.Size != size {
		t.Fatalf("size %d, want %d", fs.Size, size)
	}
}

// checkTable checks what must hold of every table.
func checkTable(t *testing.T, tab *table) {
	t.Helper()
	size := uint32(0)
	for seq := tab.oldest; seq != tab.next; seq++ {
		e := tab.entry(seq)
		size += e.name + e.value + fieldOverhead
		_ = tab.bytes(e)
	}
	if size != tab.size || size > tab.max {
		t.Fatalf("table of %d, said %d, allowed %d", size, tab.size, tab.max)
	}
	if cap(tab.buf) > 3*max(int(tab.max), InitialTable) || len(tab.entries) > 2*max(int(tab.max), InitialTable)/fieldOverhead {
		t.Fatalf("table of at most %d takes %d bytes and %d entries", tab.max, cap(tab.buf), len(tab.entries))
	}
}

// FuzzEncode sends lists of any fields through our encoder, with the table's size changing, and reads them with
// our decoder and x/net's; and the other way round.
func FuzzEncode(f *testing.F) {
	f.Add([]byte("\x05:path\x02/a\x05:path\x02/a\xff\x10\x0aX-Upper-Id\x01v\x04date\x01d"))
	f.Add([]byte("\x06cookie\x03a=b\xfe\x0dauthorization\x03abc"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 8<<10 {
			return
		}
		pieces := chunks(in)
		e, d := NewEncoder(1<<16), NewDecoder(1<<16)
		d.allowed = 1 << 16
		var got []hpack.HeaderField
		theirs := hpack.NewDecoder(InitialTable, func(h hpack.HeaderField) { got = append(got, h) })
		theirs.SetAllowedMaxDynamicTableSize(1 << 16)
		var buf bytes.Buffer
		their := hpack.NewEncoder(&buf)
		d2 := NewDecoder(1 << 16)
		d2.allowed = 1 << 16
		var fs Fields
		for len(pieces) > 1 {
			if len(pieces[0]) > 100 { // a change of the table's size
				n := uint32(len(pieces[0])-100) * 64
				e.SetMaxTable(n)
				their.SetMaxDynamicTableSizeLimit(n)
				pieces = pieces[1:]
				continue
			}
			k := min(len(pieces)/2, 1+len(pieces[0])%7)
			block := e.Begin(nil)
			buf.Reset()
			var want []hpack.HeaderField
			for i := range k {
				name, value := pieces[2*i], bytes.Trim(pieces[2*i+1], " \t")
				hidden := len(value)%5 == 4
				lower := string(lowered(name))
				h := hpack.HeaderField{Name: lower, Value: string(value), Sensitive: hidden}
				_ = their.WriteField(h)
				id := lookup(name)
				if hidden {
					block = e.AppendSensitive(block, name, value, id)
				} else {
					block = e.Append(block, name, value, id)
				}
				want = append(want, h)
			}
			pieces = pieces[2*k:]
			checkTable(t, &e.table)
			if err := d.Decode(&fs, block, &noLimits); err != nil {
				t.Fatal(err)
			}
			got = got[:0]
			if _, err := theirs.Write(block); err != nil {
				t.Fatal(err)
			}
			if err := theirs.Close(); err != nil {
				t.Fatal(err)
			}
			for i := range want { // guessable ones are hidden of our own accord
				if policies[lookup([]byte(want[i].Name))] == guessable && len(want[i].Value) < 20 {
					want[i].Sensitive = true
				}
			}
			sameFields(t, &fs, want)
			sameFields(t, &fs, got)
			if err := d2.Decode(&fs, buf.Bytes(), &noLimits); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// lowered is ASCII lower case, as the encoder makes it.
func lowered(name []byte) []byte {
	out := bytes.Clone(name)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c | 0x20
		}
	}
	return out
}

// FuzzHeads: no list of fields makes the readers panic, and a request that is taken, written as HTTP/1.1, is one
// request to HTTP/1's parser: the same, with nothing behind it.
func FuzzHeads(f *testing.F) {
	f.Add([]byte("\x07:method\x03GET\x05:path\x02/a\x07:scheme\x04http\x0a:authority\x01h\x06cookie\x01a\x06cookie\x01b"), false)
	f.Add([]byte("\x07:method\x07CONNECT\x09:protocol\x09websocket\x05:path\x02/a\x07:scheme\x04http\x0a:authority\x01h"), true)
	f.Add([]byte("\x07:method\x07CONNECT\x09:protocol\x0abytestream\x05:path\x02/a\x07:scheme\x04http\x0a:authority\x03h:1"), true)
	f.Add([]byte("\x07:method\x07CONNECT\x0a:authority\x05h:443\x0econtent-length\x010"), false)
	f.Add([]byte("\x07:status\x03200\x0econtent-length\x015"), false)
	f.Fuzz(func(t *testing.T, in []byte, end bool) {
		e, d := NewEncoder(4096), NewDecoder(4096)
		lim := http1.DefaultLimits()
		block := e.Begin(nil)
		for p := chunks(in); len(p) > 1; p = p[2:] {
			n := named{name: p[0]}
			block = e.append(block, n, p[1])
		}
		var fs Fields
		if err := d.Decode(&fs, block, &lim); err != nil {
			return
		}
		var a http1.Response
		_ = ReadResponse(&a, &fs, http1.MethodGet, end)
		var r http1.Request
		if ReadRequest(&r, &fs, end, true) == nil {
			asHTTP1(t, &r)
		}
		_ = ReadTrailers(&fs)
	})
}

func asHTTP1(t *testing.T, r *http1.Request) {
	t.Helper()
	if len(r.Host) == 0 || r.MethodID != http1.MethodConnect && r.Path[0] != '/' && r.Form != http1.FormAsterisk {
		return // the router refuses these
	}
	target := r.Path
	if r.MethodID == http1.MethodConnect {
		target = r.Host
		if r.Body == http1.BodyChunked {
			r.Body = http1.BodyNone
		}
	}
	out := http1.AppendHeader(http1.AppendRequestLine(nil, r.Method, target), "Host", r.Host)
	out = http1.AppendHeadEnd(http1.AppendFraming(http1.AppendFields(out, r.Headers), r.Body))
	var back http1.Request
	lim := http1.DefaultLimits()
	lim.MaxHeaderBytes, lim.MaxHeaders = 1<<20, 200
	n, err := back.Parse(out, &lim)
	if r.MethodID == http1.MethodConnect && err != nil {
		return // an authority without a port
	}
	if err != nil || n != len(out) {
		t.Fatalf("%q: %d %v", out, n, err)
	}
	if r.MethodID == http1.MethodConnect {
		r.Path = nil // of a bytestream
	}
	if !bytes.Equal(back.Method, r.Method) || !bytes.Equal(back.Host, r.Host) || !bytes.Equal(back.Path, r.Path) ||
		back.Body != r.Body || back.ContentLength != r.ContentLength {
		t.Fatalf("%q became %+v, was %+v", out, back, *r)
	}
	kept := 0
	for i := range r.Headers {
		if !r.Headers[i].Hop {
			kept++
		}
	}
	if len(back.Headers) != kept+1 && (r.Body != http1.BodyChunked || len(back.Headers) != kept+2) {
		t.Fatalf("%q: %d fields became %d", out, kept, len(back.Headers))
	}
}
