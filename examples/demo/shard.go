package main

// A shard: one real memcached server, and what it says when asked directly.

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

type shard struct {
	name string
	port int
	dir  string
	proc *process
}

// needMemcached installs memcached if it is missing.
func needMemcached(ctx context.Context, say *voice) error {
	if _, err := exec.LookPath("memcached"); err == nil {
		return nil
	}
	say.aside("memcached is not installed")
	install := exec.CommandContext(ctx, "sh", "conformance/install.sh", "memcached")
	install.Stdout, install.Stderr = say.out, say.out
	if err := install.Run(); err != nil {
		return fmt.Errorf("memcached is needed: %w", err)
	}
	return nil
}

// start runs the server and returns when it answers. It must not be running.
func (sh *shard) start(ctx context.Context) error {
	args := []string{"-l", "127.0.0.1", "-p", strconv.Itoa(sh.port), "-U", "0", "-m", "64", "-t", "1"}
	if os.Getuid() == 0 {
		args = append(args, "-u", "root") // memcached refuses to be root unasked
	}
	var err error
	if sh.proc, err = startProcess(filepath.Join(sh.dir, sh.name+".log"), "memcached", args...); err != nil {
		return err
	}
	asking := sh.direct()
	defer asking.Close()
	err = until(ctx, 10*time.Second, func() error {
		if sh.proc.ended() {
			return errDied
		}
		return asking.Ping()
	})
	if err != nil {
		return fmt.Errorf("%s on port %d: %w\n%s", sh.name, sh.port, err, sh.proc.lastWords())
	}
	return nil
}

func (sh *shard) kill() {
	if sh.proc != nil {
		sh.proc.kill()
	}
}

func (sh *shard) pid() int { return sh.proc.cmd.Process.Pid }

// direct is a client that goes round attache.
func (sh *shard) direct() *memcache.Client {
	c := memcache.New(loopback(sh.port))
	c.Timeout = 2 * time.Second
	return c
}

// items is how many items the server says it holds.
func (sh *shard) items() (int, error) {
	conn, err := net.DialTimeout("tcp", loopback(sh.port), time.Second)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := conn.Write([]byte("stats\r\n")); err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(conn); lines.Scan() && lines.Text() != "END"; {
		if n, ok := strings.CutPrefix(lines.Text(), "STAT curr_items "); ok {
			return strconv.Atoi(n)
		}
	}
	return 0, fmt.Errorf("%s does not say how many items it holds", sh.name)
}

// holds are those of keys that the server has.
func (sh *shard) holds(keys []string) (map[string]*memcache.Item, error) {
	c := sh.direct()
	defer c.Close()
	return c.GetMulti(keys)
}
