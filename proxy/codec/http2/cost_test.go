package http2

import (
	"testing"

	"github.com/attache-mesh/attache/proxy/codec/http1"
)

// TestNothingAllocates: neither the good path nor what is refused costs memory.
func TestNothingAllocates(t *testing.T) {
	check := func(name string, f func()) {
		t.Helper()
		for range 3 * rounds { // tables and scratch are full
			f()
		}
		if n := testing.AllocsPerRun(2*rounds, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	var f Frame
	for _, c := range frames {
		if len(c.in) < 100 {
			check(c.name, func() { _, _ = f.Parse(c.in, MinMaxFrame) })
		}
	}
	lim := http1.DefaultLimits()
	var fs Fields
	for _, h := range heads {
		headers := asHeaders(lists(h.list))
		e, d := NewEncoder(4096), NewDecoder(4096)
		var r http1.Request
		var a http1.Response
		var dst []byte
		i := 0
		check(h.name, func() {
			dst = e.Begin(BeginHeaders(dst[:0]))
			dst = e.AppendFields(dst, headers[i%rounds])
			dst = EndHeaders(dst, 0, 1, true, MinMaxFrame)
			if n, err := f.Parse(dst, MinMaxFrame); n == 0 || err != nil {
				t.Fatal(n, err)
			}
			block, _, _ := f.Block()
			if err := d.Decode(&fs, block, &lim); err != nil {
				t.Fatal(err)
			}
			if h.name != "response" {
				if err := ReadRequest(&r, &fs, false, false); err != nil {
					t.Fatal(err)
				}
			} else if err := ReadResponse(&a, &fs, http1.MethodGet, false); err != nil {
				t.Fatal(err)
			}
			i++
		})
	}
	for _, file := range []string{"requests.txt", "responses.txt"} {
		for _, c := range readScript(t, file) {
			c.decode(t, &fs)
			var r http1.Request
			var a http1.Response
			check(c.name, func() {
				_ = ReadRequest(&r, &fs, c.has("end"), c.has("connect"))
				_ = ReadResponse(&a, &fs, http1.MethodGet, c.has("end"))
			})
		}
	}
	var a Floods
	limits := DefaultFloodLimits()
	check("floods", func() {
		a.Init(&limits, 0)
		for range 2000 {
			_ = a.Frame(&f, 5)
			_ = a.Stray(5)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	in := raw(FrameData, 0, 1, "some data of a small message")
	b.ReportAllocs()
	var f Frame
	for b.Loop() {
		if n, err := f.Parse(in, MinMaxFrame); n != len(in) || err != nil {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkReadHead is from a block to what routing reads.
func BenchmarkReadHead(b *testing.B) {
	lim := http1.DefaultLimits()
	for _, h := range heads {
		in := blocks(lists(h.list), false)
		b.Run(h.name, func(b *testing.B) {
			b.ReportAllocs()
			d := NewDecoder(4096)
			var f Fields
			var r http1.Request
			var a http1.Response
			for i := 0; b.Loop(); i++ {
				if i%rounds == 0 {
					d.Init(4096)
				}
				err := d.Decode(&f, in[i%rounds], &lim)
				if err == nil && h.name == "response" {
					err = ReadResponse(&a, &f, http1.MethodGet, false)
				} else if err == nil {
					err = ReadRequest(&r, &f, false, false)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
