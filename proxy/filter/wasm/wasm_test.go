package wasm

import (
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/wasmmodule"
	"github.com/attache-mesh/attache/proxy/filter"
)

// looping is a module whose proxy_on_tick(i32) never ends:
//
//	(func (export "proxy_abi_version_0_2_1"))
//	(func (export "malloc") (param i32) (result i32) (i32.const 64))
//	(func (export "proxy_on_tick") (param i32) (loop (br 0)))
//	(memory (export "memory") 1)
const looping = "\x00asm\x01\x00\x00\x00" +
	"\x01\x0d\x03\x60\x00\x00\x60\x01\x7f\x01\x7f\x60\x01\x7f\x00" +
	"\x03\x04\x03\x00\x01\x02" +
	"\x05\x03\x01\x00\x01" +
	"\x07\x3d\x04\x17proxy_abi_version_0_2_1\x00\x00\x06malloc\x00\x01\x0dproxy_on_tick\x00\x02\x06memory\x02\x00" +
	"\x0a\x12\x03\x02\x00\x0b\x05\x00\x41\xc0\x00\x0b\x07\x00\x03\x40\x0c\x00\x0b\x0b"

// TestLoopEnds has a call that would not end: it is ended, and the instance with it.
func TestLoopEnds(t *testing.T) {
	f, err := New(&config.Wasm{Name: "loop", Code: looping}, filter.Env{Wall: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	in, err := f.start(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.run(20*time.Millisecond, "proxy_on_tick", root); err == nil || !in.dead {
		t.Errorf("a loop without end has ended with %v", err)
	}
	if _, err := in.run(maxCall, "malloc", 1); err != errDead {
		t.Errorf("a dead instance runs: %v", err)
	}
}

// TestCheck are modules that are not taken.
func TestCheck(t *testing.T) {
	if err := wasmmodule.Check([]byte(looping)); err != nil {
		t.Error(err)
	}
	for code, want := range map[string]string{
		"":                        "not a WebAssembly module",
		"\x00asm\x01\x00\x00\x00": "does not export proxy_abi_version",
		strings.Replace(looping, "malloc", "mallox", 1):               "neither proxy_on_memory_allocate nor malloc",
		strings.Replace(looping, "version_0_2_1", "version_0_1_0", 1): "does not export",
		strings.Repeat("x", wasmmodule.MaxCode+1):                     "at most",
	} {
		if err := wasmmodule.Check([]byte(code)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", code, err, want)
		}
	}
}

// FuzzParsePairs reads maps that a module has written.
func FuzzParsePairs(f *testing.F) {
	f.Add(string(appendPairs(nil, []pair{{"a", "b"}, {"c", ""}})))
	f.Add("\xff\xff\xff\xff")
	f.Fuzz(func(t *testing.T, raw string) {
		all, ok := parsePairs(raw)
		if !ok {
			return
		}
		again, ok := parsePairs(string(appendPairs(nil, all)))
		if !ok || len(again) != len(all) {
			t.Errorf("%q: %v, then %v", raw, all, again)
		}
	})
}
