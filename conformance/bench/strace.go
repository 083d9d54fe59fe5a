package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// calls are system calls by name.
type calls map[string]int

var (
	writeCalls = []string{"io_submit", "write", "writev", "sendto", "sendmsg", "sendmmsg", "sendfile", "splice"}
	waitCalls  = []string{"epoll_wait", "epoll_pwait", "epoll_pwait2"}
	// runtimeCalls are the Go runtime's own: its threads, its memory, its preemption signals.
	runtimeCalls = []string{
		"futex", "nanosleep", "clock_nanosleep", "sched_yield", "restart_syscall", "tgkill", "getpid", "gettid",
		"rt_sigreturn", "rt_sigprocmask", "sigaltstack", "madvise", "mmap", "munmap", "mprotect", "clone", "clone3", "rseq",
	}
)

// all are the calls that forwarding makes: everything but waiting and the runtime's own.
func (c calls) all() int {
	sum := 0
	for name, n := range c {
		if !slices.Contains(waitCalls, name) && !slices.Contains(runtimeCalls, name) {
			sum += n
		}
	}
	return sum
}

func (c calls) writes() int {
	sum := 0
	for _, name := range writeCalls {
		sum += c[name]
	}
	return sum
}

// trace is a running strace on all threads of a process group.
type trace struct {
	cmd     *exec.Cmd
	summary string
	cancel  context.CancelFunc
}

const traceLimit = time.Minute

// trace attaches strace to the group that c leads and returns once it counts.
func (c *child) trace(ctx context.Context, dir string) (*trace, error) {
	group, err := processes(c.pid())
	if err != nil {
		return nil, err
	}
	t := &trace{summary: filepath.Join(dir, "summary")}
	argv := []string{"-c", "-f", "-o", t.summary}
	for _, p := range group {
		argv = append(argv, "-p", filepath.Base(p.folder))
	}
	ctx, t.cancel = context.WithTimeout(ctx, traceLimit)
	t.cmd = exec.CommandContext(ctx, "strace", argv...)
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	said, err := t.cmd.StderrPipe()
	if err != nil {
		t.cancel()
		return nil, err
	}
	if err := t.cmd.Start(); err != nil {
		t.cancel()
		return nil, err
	}
	lines := bufio.NewScanner(said)
	for range group { // "strace: Process 17 attached with 5 threads", one per -p
		if !lines.Scan() || !strings.Contains(lines.Text(), " attached") {
			_, err := t.stop()
			return nil, errors.Join(fmt.Errorf("strace cannot attach: %s", lines.Text()), err)
		}
	}
	go func() { // threads that start later are announced too
		for lines.Scan() {
		}
	}()
	return t, nil
}

// stop detaches and reads what was counted.
func (t *trace) stop() (calls, error) {
	defer t.cancel()
	if err := t.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return nil, fmt.Errorf("strace ended early: %w", errors.Join(err, t.cmd.Wait()))
	}
	_ = t.cmd.Wait() // it ends by the signal that it was sent
	text, err := os.ReadFile(t.summary)
	if err != nil {
		return nil, err
	}
	return parseSummary(string(text))
}

// parseSummary reads the table of strace -c: % time, seconds, usecs/call, calls, errors (may be empty), syscall.
func parseSummary(text string) (calls, error) {
	counted := calls{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[len(fields)-1] == "total" || fields[0] == "%" || strings.HasPrefix(fields[0], "-") {
			continue
		}
		n, err := strconv.Atoi(fields[3])
		if err != nil {
			return nil, fmt.Errorf("strace's summary has the line %q", line)
		}
		counted[fields[len(fields)-1]] += n
	}
	if len(counted) == 0 {
		return nil, errors.New("strace counted nothing")
	}
	return counted, nil
}
