package loop

import (
	"iter"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// T is the part of *testing.T that Seeds needs; the product does not link
// package testing.
type T interface {
	Helper()
	Name() string
	Failed() bool
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Seeds gives the seeds that a test runs: 1 to n, as many as ATTACHE_SEEDS
// says, or the one that ATTACHE_SEED names. It stops after a seed that failed
// and prints how to run that one again; at the end it prints how many ran. The
// test ends each Sim (Close) before it takes the next seed.
//
//	for seed := range loop.Seeds(t, 100) { scenario(t, seed) }
func Seeds(t T, n int) iter.Seq[uint64] {
	t.Helper()
	pkg := testedPackage()
	first, count := uint64(1), uint64(n)
	number := func(name string) (uint64, bool) {
		v := os.Getenv(name)
		u, err := strconv.ParseUint(v, 10, 64)
		if v != "" && err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return u, v != ""
	}
	if v, ok := number("ATTACHE_SEEDS"); ok {
		count = v
	}
	if v, ok := number("ATTACHE_SEED"); ok {
		first, count = v, 1
	}
	return func(yield func(uint64) bool) {
		began, ran, over := time.Now(), uint64(0), false
		seed := first
		defer func() { // t.Fatal or a panic in the loop's body
			if !over {
				t.Logf("seed %d failed; again: %s", seed, again(t.Name(), pkg, seed))
			}
		}()
		for ; ran < count; seed++ {
			ran++
			more := yield(seed)
			if t.Failed() {
				t.Logf("%d seeds ran; %d failed", ran, seed)
				return
			}
			if !more {
				break
			}
		}
		over = true
		t.Logf("%d seeds ran in %v", ran, time.Since(began).Round(time.Millisecond))
	}
}

// again is the command that runs one seed of a test.
func again(test, pkg string, seed uint64) string {
	parts := strings.Split(test, "/")
	for i, p := range parts {
		parts[i] = "^" + p + "$"
	}
	return "ATTACHE_SEED=" + strconv.FormatUint(seed, 10) + " go test ./" + pkg + " -run '" + strings.Join(parts, "/") + "'"
}

// testedPackage is the folder, from the module's root, of the test function
// that called.
func testedPackage() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	first := ""
	for {
		f, more := frames.Next()
		pkg, fn := splitFunction(f.Function)
		if first == "" {
			first = pkg
		}
		if strings.HasPrefix(fn, "Test") {
			return pkg
		}
		if !more {
			return first
		}
	}
}

// splitFunction takes example.com/m/proxy/x_test.TestA.func1 apart: proxy/x, TestA.func1.
func splitFunction(name string) (pkg, fn string) {
	slash := strings.LastIndexByte(name, '/') + 1
	base, fn, _ := strings.Cut(name[slash:], ".")
	pkg = name[:slash] + strings.TrimSuffix(base, "_test")
	return strings.TrimPrefix(pkg, "github.com/attache-mesh/attache/"), fn
}
