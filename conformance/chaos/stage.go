package main

// The servers of a run: three memcached with one thread each, and attache in front of them.

import (
	"bufio"
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

const shards = 3

type stage struct {
	dir     string
	port    int // attache's
	attache *child
	shards  [shards]*shard
}

type shard struct {
	port int
	argv []string
	*child
}

// child is a running server with its output in a file.
type child struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// raise starts all. What it returns is to be struck, with an error too.
func raise(ctx context.Context, o options) (s *stage, err error) {
	s = &stage{}
	if s.dir, err = os.MkdirTemp("", "attache-chaos-"); err != nil {
		return s, err
	}
	for i := range s.shards {
		if s.shards[i], err = s.newShard(ctx, i); err != nil {
			return s, err
		}
	}
	if s.port, err = freePort(); err != nil {
		return s, err
	}
	config := filepath.Join(s.dir, "envoy.yaml")
	if err := os.WriteFile(config, []byte(s.bootstrap()), 0o644); err != nil {
		return s, err
	}
	s.attache, err = start(filepath.Join(s.dir, "attache.log"), o.attache, "-c", config, "--concurrency", fmt.Sprint(o.concurrency), "-l", "warning")
	if err != nil {
		return s, err
	}
	return s, s.attache.listening(ctx, s.port)
}

func (s *stage) newShard(ctx context.Context, i int) (*shard, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	x := &shard{port: port}
	x.argv = []string{"memcached", "-t", "1", "-c", "1024", "-m", "128", "-U", "0", "-l", "127.0.0.1", "-p", fmt.Sprint(port)}
	if os.Getuid() == 0 {
		x.argv = append(x.argv, "-u", "root")
	}
	x.child, err = start(filepath.Join(s.dir, fmt.Sprintf("memcached-%d.log", i)), x.argv...)
	if err != nil {
		return nil, err
	}
	return x, x.listening(ctx, port)
}

// again starts a killed shard on its port.
func (x *shard) again(ctx context.Context) (err error) {
	if x.child, err = start(x.log, x.argv...); err != nil {
		return err
	}
	return x.listening(ctx, x.port)
}

// bootstrap is the issue's own case: a ring over three named shards, and errors that are said.
func (s *stage) bootstrap() string {
	var endpoints strings.Builder
	for i, x := range s.shards {
		fmt.Fprintf(&endpoints, `        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}
          metadata: {filter_metadata: {envoy.lb: {hash_key: shard-%d}}}
`, x.port, i+1)
	}
	return fmt.Sprintf(`static_resources:
  listeners:
  - name: memcached
    address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: attache.filters.network.memcached_proxy
        typed_config:
          "@type": type.googleapis.com/attache.filters.network.memcached_proxy.v1.MemcachedProxy
          stat_prefix: chaos
          settings: {op_timeout: 2s}
          prefix_routes: {catch_all_route: {cluster: cache}}
  clusters:
  - name: cache
    type: STATIC
    connect_timeout: 0.25s
    lb_policy: RING_HASH
    load_assignment:
      cluster_name: cache
      endpoints:
      - lb_endpoints:
%s`, s.port, &endpoints)
}

func (s *stage) strike() {
	if s.attache != nil {
		s.attache.kill()
	}
	for _, x := range s.shards {
		if x != nil && x.child != nil {
			x.kill()
		}
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// start must be called on the main thread: the child dies with the thread that started it.
func start(log string, argv ...string) (*child, error) {
	c := &child{log: log, done: make(chan struct{})}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	c.cmd = exec.Command(argv[0], argv[1:]...)
	c.cmd.Stdout, c.cmd.Stderr = out, out
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// kill is SIGKILL: no goodbye, the kernel resets what was open.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// listening waits until the child accepts on port.
func (c *child) listening(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		if conn, err := net.Dial("tcp", loopback(port)); err == nil {
			return conn.Close()
		}
		select {
		case <-again.C:
		case <-c.done:
			return c.ended()
		case <-ctx.Done():
			return fmt.Errorf("%s does not accept on port %d: %w", c.cmd.Args[0], port, ctx.Err())
		}
	}
}

// ended says how a child ended that should not have, with the end of its log.
func (c *child) ended() error {
	text, _ := os.ReadFile(c.log)
	text = text[max(0, len(text)-4000):]
	return fmt.Errorf("%s ended (%v):\n%s", c.cmd.Args[0], c.cmd.ProcessState, text)
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// freePort is a port that a killed shard finds free again.
func freePort() (int, error) {
	claimed, err := ports.Claim(1)
	if err != nil {
		return 0, err
	}
	return claimed[0], nil
}

// dial opens a connection that a reader and a deadline are ready for.
func dial(port int) (net.Conn, *bufio.Reader, error) {
	conn, err := net.DialTimeout("tcp", loopback(port), patience)
	if err != nil {
		return nil, nil, err
	}
	return conn, bufio.NewReaderSize(conn, 64<<10), nil
}
