package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// settle gives back what only starting needed. Reading a bootstrap runs through
// ten megabytes of protobuf descriptors and decoders that a serving process
// hardly touches again: the heap goes back to the system, and the program's own
// read-only pages are let go, to be read again from its file, page by page, as
// far as they are needed.
func settle() {
	debug.FreeOSMemory()
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		releaseMapping(lines.Text(), exe)
	}
}

// releaseMapping lets the pages of one line of /proc/self/maps go if they are
// the program's and can only be read: nothing in them can be lost.
func releaseMapping(line, exe string) {
	var from, to uintptr
	var mode string
	if !strings.HasSuffix(line, " "+exe) {
		return
	}
	if _, err := fmt.Sscanf(line, "%x-%x %4s", &from, &to, &mode); err != nil {
		return
	}
	if mode != "r--p" && mode != "r-xp" {
		return
	}
	_, _, _ = unix.RawSyscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
}

// Heaps above largeHeap are those of many thousand connections that mostly do
// nothing: what they keep counts, and little of it changes. They are let grow by
// half between two collections instead of to the double. While the program comes up
// the heap only grows: collecting it would find little, and give it back is done
// once, by settle.
const (
	largeHeap    = 24 << 20
	largePercent = 50
	smallPercent = 100
	firstPercent = 300
	lookEvery    = time.Second
)

// lean sets how much the heap may grow between two collections by how large it
// is, until ctx is done. Who has set GOGC is obeyed.
func lean(ctx context.Context, ready func() bool) {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	now := firstPercent
	debug.SetGCPercent(now)
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		metrics.Read(live)
		want := smallPercent
		switch {
		case !ready():
			want = firstPercent
		case live[0].Value.Uint64() > largeHeap:
			want = largePercent
		}
		if want != now {
			debug.SetGCPercent(want)
			now = want
		}
	}
}
