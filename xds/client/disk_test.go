package client

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/client/cache"
)

func cacheIn(dir string) *cache.Dir {
	return &cache.Dir{Path: dir, NodeID: nodeID, NodeCluster: "test", MaxAge: time.Hour}
}

// ran runs a client until stop, which waits for its end.
func ran(t *testing.T, o Options) (c *Client, stop func()) {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx)
	}()
	return c, func() {
		cancel()
		<-done
	}
}

// What was accepted is used when the next start finds nobody, and replaced when
// somebody comes.
func TestStartFromDisk(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			dir := t.TempDir()
			s, r := newStock(t, "127.0.0.1:0"), newRecorder()
			s.set(t, m.cluster("a"), m.cluster("b"), endpoints("a", 1001), endpoints("b", 1002), m.listener("l", 0, "r"), table("r", "a"))
			o := m.options(s.address, r)
			o.Cache = cacheIn(dir)
			c, stop := ran(t, o)
			readySoon(t, c)
			if from, age := c.Source(); from != "control_plane" || age != 0 {
				t.Errorf("source %s, age %s", from, age)
			}
			stop() // writes what has not been written yet
			s.grpc.Stop()

			r = newRecorder()
			o = m.options(s.address, r)
			o.Cache = cacheIn(dir)
			begin := time.Now()
			c, stop = ran(t, o)
			defer stop()
			readySoon(t, c)
			if took := time.Since(begin); took > time.Second {
				t.Errorf("ready after %s", took)
			}
			if from, age := c.Source(); from != "disk" || age <= 0 {
				t.Errorf("source %s, age %s", from, age)
			}
			if snap := r.last(); !is(ports(snap, "a"), 1001) || !is(ports(snap, "b"), 1002) || snap.Listener("l") == nil || snap.RouteTable("r") == nil {
				t.Fatal("from disk came less than was there")
			}

			back := newStock(t, s.address.String())
			back.set(t, m.cluster("a"), endpoints("a", 3001), m.listener("l", 0, "r"), table("r", "a"))
			r.until(t, "what the control plane says now", func(s *config.Snapshot) bool { return is(ports(s, "a"), 3001) && s.Cluster("b") == nil })
			eventually(t, "the source", func() bool { from, _ := c.Source(); return from == "control_plane" })
		})
	}
}

// A control plane that answers in time is not overtaken by the disk.
func TestDiskIsNotUsedBesideAControlPlane(t *testing.T) {
	m, dir := modes[0], t.TempDir()
	s, r := newStock(t, "127.0.0.1:0"), newRecorder()
	s.set(t, m.cluster("a"), endpoints("a", 1001))
	o := m.options(s.address, r)
	o.Cache = cacheIn(dir)
	c, stop := ran(t, o)
	readySoon(t, c)
	stop()
	o.Apply = func(snap *config.Snapshot) error {
		if snap.Cluster("a") != nil && !is(ports(snap, "a"), 2001) {
			t.Errorf("applied %v", ports(snap, "a"))
		}
		return nil
	}
	s.set(t, m.cluster("a"), endpoints("a", 2001))
	o.Cache = cacheIn(dir)
	c, stop = ran(t, o)
	defer stop()
	readySoon(t, c)
	if from, _ := c.Source(); from != "control_plane" {
		t.Errorf("source %s", from)
	}
}

// A cache that cannot be used is refused by name, and the start goes on without.
func TestRefusedCacheIsSaid(t *testing.T) {
	m, dir := modes[0], t.TempDir()
	d := cacheIn(dir)
	if err := os.WriteFile(d.File(), []byte("what is this?\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	s, r := newStock(t, "127.0.0.1:0"), newRecorder()
	s.set(t, m.cluster("a"), endpoints("a", 1001))
	o := m.options(s.address, r)
	o.Cache = d
	o.Log = slog.New(slog.NewTextHandler(&said, nil))
	c, stop := ran(t, o)
	readySoon(t, c)
	stop()
	if !strings.Contains(said.String(), "config cache is refused") || !strings.Contains(said.String(), "corrupt") {
		t.Errorf("said: %s", said.String())
	}
	if _, err := cacheIn(dir).Load(time.Now()); err != nil {
		t.Errorf("not replaced: %v", err)
	}
}

// What holds a secret is not written.
func TestSecretsAreNotWritten(t *testing.T) {
	const key = "-----BEGIN PRIVATE KEY----- canary"
	c := &Client{o: Options{Cache: cacheIn(t.TempDir())}}
	secret := &tlsv3.Secret{Name: "s", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		PrivateKey: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: key}},
	}}}
	skipped, err := c.save([]*version{{name: "s", body: packed(secret)}, {name: "a", body: packed(modes[0].cluster("a"))}}, time.Now())
	if err != nil || skipped != 1 {
		t.Fatalf("skipped %d, %v", skipped, err)
	}
	file, err := os.ReadFile(c.o.Cache.File())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(file), "canary") || !strings.Contains(string(file), "Cluster") {
		t.Errorf("the file holds %q", file)
	}
	if info, err := os.Stat(c.o.Cache.File()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
