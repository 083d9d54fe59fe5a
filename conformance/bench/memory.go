package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// measureMemory starts every proxy afresh for each round: memory is not a matter of turns.
func (b *bench) measureMemory(ctx context.Context, r row, res *result, backends []int, rounds int) error {
	for round := range rounds {
		for _, p := range b.contenders(r) {
			done := b.out.progress(fmt.Sprintf("%s round %d/%d: %s", r.name, round+1, rounds, p.name))
			s, err := b.memoryOf(ctx, r, p, backends)
			done()
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			l := res.line(p.name)
			l.samples = append(l.samples, s)
		}
	}
	return nil
}

func (b *bench) memoryOf(ctx context.Context, r row, p proxy, backends []int) (sample, error) {
	s := nothingYet()
	if r.method == started && p.name == "attache" {
		if _, err := os.Stat(b.example); err == nil {
			return b.memoryOfExample(ctx)
		}
	}
	c, err := b.startProxy(ctx, r, p, backends)
	if c.child != nil {
		defer c.stop()
	}
	if err != nil {
		return s, err
	}
	empty, err := c.settled(ctx)
	s[resident] = float64(empty)
	if err != nil || r.method == started {
		return s, err
	}
	conns := min(r.conns, descriptors()-1000)
	release, err := b.holdIdle(ctx, r, c.port, conns)
	if err != nil {
		return s, err
	}
	defer release()
	full, err := c.settled(ctx)
	s[resident], s[bytesPerIdle] = float64(full), float64(full-empty)/float64(conns)
	return s, err
}

// memoryOfExample starts attache as its documentation does, on the ports of the example's file.
func (b *bench) memoryOfExample(ctx context.Context) (sample, error) {
	s := nothingYet()
	dir, err := b.folder("example")
	if err != nil {
		return s, err
	}
	program, err := filepath.Abs(b.attache)
	if err != nil {
		return s, err
	}
	config, err := filepath.Abs(b.example)
	if err != nil {
		return s, err
	}
	c, err := start("attache", dir, syscall.SIGKILL, program, "-c", config, "--concurrency", "1", "-l", "warning")
	if err != nil {
		return s, err
	}
	defer c.stop()
	rss, err := c.settled(ctx)
	s[resident] = float64(rss)
	return s, err
}

// settled is the group's memory once it has stayed within 1 % for half a second; after ten seconds, whatever it is.
func (c *child) settled(ctx context.Context) (int64, error) {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	var last int64
	for steady, looks := 0, 0; steady < 5 && looks < 100; looks++ {
		select {
		case <-again.C:
		case <-c.done:
			return 0, c.failed("ended")
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		now, err := c.residentBytes()
		if err != nil {
			return 0, err
		}
		if steady++; max(now-last, last-now) > last/100 {
			steady, last = 0, now
		}
	}
	return c.residentBytes()
}

// holdIdle opens the connections from a process of their own and returns what closes them.
func (b *bench) holdIdle(ctx context.Context, r row, port, conns int) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	cmd := exec.CommandContext(ctx, b.tool("idleload"), "-target", loopback(port), "-conns", fmt.Sprint(conns), fmt.Sprintf("-tls=%v", r.secure == downstream))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	hold, err := cmd.StdinPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	release = func() {
		_ = hold.Close()
		_, _ = io.Copy(io.Discard, said)
		_ = cmd.Wait()
		cancel()
	}
	if word, _ := bufio.NewReader(said).ReadString(' '); word != "ready " {
		release()
		return nil, fmt.Errorf("idleload: %s", strings.TrimSpace(complaint.String()))
	}
	return release, nil
}

// descriptors is how many files a child may open.
func descriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(limit.Max, 1<<20))
}
