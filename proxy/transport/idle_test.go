package transport

import (
	"runtime"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/config/pki"
	"github.com/attache-mesh/attache/proxy/loop"
)

const idleBytes = 8 << 10

// What an idle connection keeps: both ends of it are in this process, and each
// must stay below 8 KiB, so that with the collector's slack it is below 12.
func TestIdleMemory(t *testing.T) {
	ca := pki.New(t, "root")
	g := newStage(t, 1)
	g.open(config.DownstreamTLS{TLS: common()}, material(nil, ca.Issue(pki.Leaf{})))
	g.use(config.UpstreamTLS{TLS: common()}, material(nil))
	const conns = 500
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var all []*loop.Conn
	g.play(func() {
		for range conns {
			c := g.dial()
			must(t, g.up.Secure(c, &Peer{}, time.Minute))
			_, _ = c.Write([]byte("hello"))
			_, err := c.Next()
			must(t, err)
			c.Discard(c.Pending())
			all = append(all, c)
		}
	})
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := (after.HeapAlloc - before.HeapAlloc) / conns
	t.Logf("%d bytes for both ends of a connection", per)
	if per > 2*idleBytes {
		t.Errorf("both ends of an idle connection keep %d bytes, more than %d", per, 2*idleBytes)
	}
	for _, c := range all {
		c.Close()
	}
	g.end()
}
