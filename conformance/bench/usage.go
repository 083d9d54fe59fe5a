package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what a process group has run on a CPU, to the nanosecond per thread (schedstat), and
// in clock ticks per process for when a thread ended in between.
type usage struct {
	byThread map[string]time.Duration // by task folder
	ticks    time.Duration
}

const tick = time.Second / 100 // USER_HZ, the same on every Linux that Go runs on

// readUsage reads the group that child leads.
func (c *child) readUsage() (usage, error) {
	u := usage{byThread: map[string]time.Duration{}}
	group, err := processes(c.pid())
	if err != nil {
		return u, err
	}
	for _, p := range group {
		threads, err := filepath.Glob(p.folder + "/task/*")
		if err != nil {
			return u, err
		}
		for _, thread := range threads {
			text, err := os.ReadFile(thread + "/schedstat")
			if err != nil {
				continue // ended between the two reads, or a kernel without schedstat
			}
			first, _, _ := strings.Cut(string(text), " ")
			ns, err := strconv.ParseInt(first, 10, 64)
			if err != nil {
				return u, fmt.Errorf("%s/schedstat: %w", thread, err)
			}
			u.byThread[thread] = time.Duration(ns)
		}
		u.ticks += p.ticks
	}
	return u, nil
}

// since is the CPU time between two readings.
func (u usage) since(before usage) time.Duration {
	var sum time.Duration
	for thread, ns := range before.byThread {
		if _, ok := u.byThread[thread]; !ok {
			return u.ticks - before.ticks
		}
		sum -= ns
	}
	for _, ns := range u.byThread {
		sum += ns
	}
	if len(u.byThread) == 0 {
		return u.ticks - before.ticks
	}
	return sum
}

// residentBytes is VmRSS of the group that child leads; pages that its processes share count for each.
func (c *child) residentBytes() (int64, error) {
	group, err := processes(c.pid())
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, p := range group {
		text, err := os.ReadFile(p.folder + "/status")
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(text), "VmRSS:")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return 0, fmt.Errorf("%s/status has no VmRSS", p.folder)
		}
		kib, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += kib << 10
	}
	return sum, nil
}

// process is one member of a group, as /proc/PID/stat has it.
type process struct {
	folder string
	ticks  time.Duration // utime + stime, ended threads included
}

// processes are the living members of a process group; none left is an error.
func processes(group int) ([]process, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var members []process
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // ended meanwhile
		}
		// proc_pid_stat(5); the name, field 2, may hold spaces, so fields[0] is field 3.
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 13 || fields[2] != strconv.Itoa(group) || fields[0] == "Z" {
			continue
		}
		user, _ := strconv.Atoi(fields[11])
		system, _ := strconv.Atoi(fields[12])
		members = append(members, process{filepath.Dir(file), time.Duration(user+system) * tick})
	}
	if len(members) == 0 {
		return nil, fmt.Errorf("process %d has ended", group)
	}
	return members, nil
}
