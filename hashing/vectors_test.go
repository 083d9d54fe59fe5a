package hashing

// Golden vectors: what other programs answer, each file of testdata with its source in it.

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// load reads a file of testdata into v.
func load(t *testing.T, name string, v any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// named returns hosts of weight 1 with these keys.
func named(keys ...string) []Host {
	hosts := make([]Host, len(keys))
	for i, k := range keys {
		hosts[i] = Host{Key: k, Weight: 1}
	}
	return hosts
}

// must is for tables that cannot fail.
func must[T any](table T, err error) T {
	if err != nil {
		panic(err)
	}
	return table
}

// decimal writes a hash as the files do: JSON readers lose the low bits of a number of 64.
func decimal(h uint64) string { return strconv.FormatUint(h, 10) }
