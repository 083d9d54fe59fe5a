package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

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
