package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/attache-mesh/attache/conformance/ports"
)

// child is a server that runs beside the bench: own process group, log in a file, killed with all its own children.
type child struct {
	called string
	cmd    *exec.Cmd
	log    string
	done   chan struct{} // closed when it has ended
}

// children are stopped together, last started first.
type children []*child

func (cs children) stop() {
	for i := len(cs) - 1; i >= 0; i-- {
		cs[i].stop()
	}
}

// start runs argv with its working directory and log in dir. deathSignal is what it gets if the
// bench itself is killed: SIGKILL, but SIGTERM for a program whose own children would survive it.
// Must be called on the main thread.
func start(name, dir string, deathSignal syscall.Signal, argv ...string) (*child, error) {
	c := &child{called: name, log: filepath.Join(dir, "log"), done: make(chan struct{})}
	log, err := os.Create(c.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.cmd = exec.Command(argv[0], argv[1:]...)
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr = dir, log, log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: deathSignal}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		_ = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

func (c *child) stop() {
	_ = syscall.Kill(-c.pid(), syscall.SIGKILL)
	<-c.done
}

// failed describes a child that ended or never answered, with the end of its log.
func (c *child) failed(what string) error {
	text, _ := os.ReadFile(c.log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-5):]
	return fmt.Errorf("%s %s; its last words:\n  %s", c.called, what, strings.Join(lines, "\n  "))
}

const startTime = 10 * time.Second // for a server to listen

// listening waits until the child accepts on port.
func (c *child) listening(ctx context.Context, port int) error {
	deadline := time.NewTimer(startTime)
	defer deadline.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if conn, err := net.Dial("tcp", loopback(port)); err == nil {
			return conn.Close()
		}
		select {
		case <-again.C:
		case <-c.done:
			return c.failed("ended at once")
		case <-deadline.C:
			return c.failed(fmt.Sprintf("does not accept on port %d after %v", port, startTime))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// freePort is a port of this run alone.
func freePort() (int, error) {
	claimed, err := ports.Claim(1)
	if err != nil {
		return 0, err
	}
	return claimed[0], nil
}

// output runs a generator to its end and returns what it printed. On an error that is part of it.
func output(ctx context.Context, limit time.Duration, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	text, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(argv[0]), err, strings.TrimSpace(string(text)))
	}
	return string(text), nil
}
