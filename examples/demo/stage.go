package main

// What stands while the demo plays: three memcached servers and one that comes later, two HTTP servers, attache in front of
// them, and attache-control.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

const (
	attacheProgram = "bin/attache"
	controlProgram = "bin/attache-control"
	// opTimeout is what attache gives one memcached command, from its arrival to its answer.
	opTimeout = 2 * time.Second
)

type stage struct {
	say    *voice
	dir    string // configuration and logs
	shards []*shard
	fourth *shard // started in the last step
	pages  []*page
	proxy  *process
	// control is the control plane.
	control *process
	ports   frontPorts

	// app is what an application has: a client library and one address.
	app     *memcache.Client
	owner   map[string]*shard // of each key, found by asking the shards
	victim  *shard
	traffic *traffic
}

// frontPorts are where attache and attache-control listen.
type frontPorts struct{ Memcached, HTTP, Admin, Control, status int }

// raise puts everything up. The stage that it returns is never nil, so that what stands can be struck after an error too.
func raise(ctx context.Context, say *voice) (*stage, error) {
	s := &stage{say: say}
	for _, program := range []string{attacheProgram, controlProgram} {
		if _, err := os.Stat(program); err != nil {
			return s, fmt.Errorf("%s is not here: run `make build` first, from the top of the source tree", program)
		}
	}
	if err := needMemcached(ctx, say); err != nil {
		return s, err
	}
	var err error
	if s.dir, err = os.MkdirTemp("", "attache-demo-"); err != nil {
		return s, err
	}
	ports, err := freePorts(11)
	if err != nil {
		return s, err
	}
	for i, port := range ports[:3] {
		sh := &shard{name: fmt.Sprintf("shard-%d", i+1), port: port, dir: s.dir}
		s.shards = append(s.shards, sh)
		if err := sh.start(ctx); err != nil {
			return s, err
		}
	}
	for i, port := range ports[3:5] {
		p, err := openPage(string(rune('A'+i)), port)
		if err != nil {
			return s, err
		}
		s.pages = append(s.pages, p)
	}
	s.ports = frontPorts{Memcached: ports[5], HTTP: ports[6], Admin: ports[7], Control: ports[8], status: ports[9]}
	s.fourth = &shard{name: "shard-4", port: ports[10], dir: s.dir}
	if err := s.startControl(ctx); err != nil {
		return s, err
	}
	return s, s.startAttache(ctx)
}

// startControl runs the control plane and returns when it serves.
func (s *stage) startControl(ctx context.Context) error {
	err := errors.Join(s.writeFile(s.servicesFile(), servicesText), s.writeFile(s.controlFile(), controlText), s.writeFile(s.sidecarFile(), sidecarText))
	if err != nil {
		return err
	}
	s.control, err = startProcess(filepath.Join(s.dir, "attache-control.log"), controlProgram,
		"-c", s.controlFile(), "--status-address", loopback(s.ports.status), "--shutdown-time-s", "1")
	if err != nil {
		return err
	}
	if err := until(ctx, 10*time.Second, func() error { return s.ready(s.control, s.ports.status) }); err != nil {
		return fmt.Errorf("attache-control is not ready: %w\n%s", err, s.control.lastWords())
	}
	return nil
}

func (s *stage) startAttache(ctx context.Context) error {
	began := time.Now()
	var err error
	s.proxy, err = startProcess(filepath.Join(s.dir, "attache.log"), attacheProgram, "-c", s.sidecarFile(), "--drain-time-s", "1")
	if err != nil {
		return err
	}
	if err := until(ctx, 10*time.Second, func() error { return s.ready(s.proxy, s.ports.Admin) }); err != nil {
		return fmt.Errorf("attache is not ready: %w\n%s", err, s.proxy.lastWords())
	}
	s.say.aside("three memcached servers, two HTTP servers, attache-control, and attache in front (ready after %d ms)", time.Since(began).Milliseconds())
	s.say.aside("what attache-control is told: %s", s.controlFile())
	s.say.aside("the services that it looks up: %s", s.servicesFile())
	s.say.aside("what attache is told, which is where attache-control is: %s", s.sidecarFile())
	s.app = memcache.New(loopback(s.ports.Memcached))
	s.app.Timeout = 4 * opTimeout // attache answers first
	s.app.MaxIdleConns = trafficWorkers
	return nil
}

// ready asks a program's /ready, as an orchestrator would.
func (s *stage) ready(p *process, port int) error {
	if p.ended() {
		return errDied
	}
	client := http.Client{Timeout: time.Second}
	resp, err := client.Get("http://" + loopback(port) + "/ready")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return fmt.Errorf("/ready says %s %s", resp.Status, body)
	}
	return nil
}

// strike takes everything down, attache first. Its error says that attache or attache-control did not leave in order.
func (s *stage) strike() (err error) {
	if s.traffic != nil {
		s.traffic.stop()
	}
	if s.app != nil {
		s.app.Close()
	}
	if s.proxy != nil {
		err = s.proxy.leave(10 * time.Second)
	}
	if s.control != nil {
		err = errors.Join(err, s.control.leave(10*time.Second))
	}
	if s.fourth != nil {
		s.fourth.kill()
	}
	for _, sh := range s.shards {
		sh.kill()
	}
	for _, p := range s.pages {
		p.close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// stayUp says what there is to play with and waits for Ctrl-C.
func (s *stage) stayUp(ctx context.Context) {
	s.say.title(8, "Yours to play with, until Ctrl-C")
	s.say.aside("memcached  printf 'get %s\\r\\nquit\\r\\n' | nc 127.0.0.1 %d", sampleKey, s.ports.Memcached)
	s.say.aside("HTTP       curl http://%s/", loopback(s.ports.HTTP))
	s.say.aside("admin      curl http://%s/clusters", loopback(s.ports.Admin))
	s.say.aside("control    http://%s/status, and edit %s", loopback(s.ports.status), s.servicesFile())
	for _, sh := range s.shards {
		s.say.aside("%s    127.0.0.1:%d, pid %d: kill it and see", sh.name, sh.port, sh.pid())
	}
	<-ctx.Done()
}
