package main

// What stands while the demo plays: three memcached servers, two HTTP servers, and attache in front of them.

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
	// opTimeout is what attache gives one memcached command, from its arrival to its answer.
	opTimeout = 2 * time.Second
)

type stage struct {
	say    *voice
	dir    string // bootstrap and logs
	shards []*shard
	pages  []*page
	proxy  *process
	ports  frontPorts

	// app is what an application has: a client library and one address.
	app     *memcache.Client
	owner   map[string]*shard // of each key, found by asking the shards
	victim  *shard
	traffic *traffic
}

// frontPorts are where attache listens.
type frontPorts struct{ memcached, http, admin int }

// raise puts everything up. The stage that it returns is never nil, so that what stands can be struck after an error too.
func raise(ctx context.Context, say *voice) (*stage, error) {
	s := &stage{say: say}
	if _, err := os.Stat(attacheProgram); err != nil {
		return s, fmt.Errorf("%s is not here: run `make build` first, from the top of the source tree", attacheProgram)
	}
	if err := needMemcached(ctx, say); err != nil {
		return s, err
	}
	var err error
	if s.dir, err = os.MkdirTemp("", "attache-demo-"); err != nil {
		return s, err
	}
	ports, err := freePorts(8)
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
	s.ports = frontPorts{memcached: ports[5], http: ports[6], admin: ports[7]}
	return s, s.startAttache(ctx)
}

func (s *stage) startAttache(ctx context.Context) error {
	config := filepath.Join(s.dir, "envoy.yaml")
	if err := writeBootstrap(config, s); err != nil {
		return err
	}
	began := time.Now()
	var err error
	s.proxy, err = startProcess(filepath.Join(s.dir, "attache.log"), attacheProgram, "-c", config, "--drain-time-s", "1")
	if err != nil {
		return err
	}
	if err := until(ctx, 10*time.Second, s.ready); err != nil {
		return fmt.Errorf("attache is not ready: %w\n%s", err, s.proxy.lastWords())
	}
	s.say.aside("three memcached servers, two HTTP servers, and attache in front (ready after %d ms)", time.Since(began).Milliseconds())
	s.say.aside("configuration: %s", config)
	s.app = memcache.New(loopback(s.ports.memcached))
	s.app.Timeout = 4 * opTimeout // attache answers first
	s.app.MaxIdleConns = trafficWorkers
	return nil
}

// ready asks attache's admin address, as an orchestrator would.
func (s *stage) ready() error {
	if s.proxy.ended() {
		return errDied
	}
	client := http.Client{Timeout: time.Second}
	resp, err := client.Get("http://" + loopback(s.ports.admin) + "/ready")
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

// strike takes everything down, attache first. Its error says that attache did not leave in order.
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
	s.say.title(7, "Yours to play with, until Ctrl-C")
	s.say.aside("memcached  printf 'get %s\\r\\nquit\\r\\n' | nc 127.0.0.1 %d", sampleKey, s.ports.memcached)
	s.say.aside("HTTP       curl http://%s/", loopback(s.ports.http))
	s.say.aside("admin      curl http://%s/clusters", loopback(s.ports.admin))
	for _, sh := range s.shards {
		s.say.aside("%s    127.0.0.1:%d, pid %d: kill it and see", sh.name, sh.port, sh.pid())
	}
	<-ctx.Done()
}
