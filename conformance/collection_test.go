package conformance

// A large set as attache-control sends it and attache takes it.

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// relay passes connections to an address, and counts what comes from there.
func relay(t *testing.T, to string) (addr string, written *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	written = &atomic.Int64{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", to)
			if err != nil {
				c.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(up, c)
				up.Close()
			}()
			go func() {
				_, _ = io.Copy(io.MultiWriter(c, counter{written}), up)
				c.Close()
			}()
		}
	}()
	return l.Addr().String(), written
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// TestOneOfManyEndpoints: a service has 2,000 instances, of which one is the
// first choice; another one after the other takes its place. On a delta stream
// that costs the two that changed, in the state of the world all of them;
// requests go to the one in both.
func TestOneOfManyEndpoints(t *testing.T) {
	const many, least = 2000, 40
	for _, w := range ways[:2] {
		t.Run(w.name, func(t *testing.T) {
			services, control, addr, admin := t.TempDir()+"/services.json", freeAddr(t), freeAddr(t), freeAddr(t)
			backends := []string{named(t, "0"), named(t, "1"), named(t, "2")}
			say := func(active int) {
				t.Helper()
				var all []string
				for i := range many {
					at, priority := fmt.Sprintf("127.1.%d.%d:1", i/250, i%250+1), 1
					if i < len(backends) {
						at = backends[i]
					}
					if i == active {
						priority = 0
					}
					all = append(all, fmt.Sprintf(`{"id": "i-%04d", "address": %q, "priority": %d}`, i, at, priority))
				}
				text := `{"services": {"web": [` + strings.Join(all, ",\n") + `]}}`
				if err := os.WriteFile(services+".new", []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(services+".new", services); err != nil {
					t.Fatal(err)
				}
			}
			say(0)
			_, port, _ := strings.Cut(addr, ":")
			config := write(t, fmt.Sprintf(`
server: {address: "%s"}
sources: {file: {kind: file, path: "%s"}}
ambassadors: [{name: all, ports: [{name: web, port: %s, protocol: http, service: "file://web"}]}]
`, control, services, port))
			plane := launch(t, program(t, "./cmd/attache-control"), "-c", config, "--status-address", "off")
			plane.serving("tcp", control)
			at, written := relay(t, control)
			launch(t, program(t, "./cmd/attache"), "-c", write(t, w.bootstrap(admin, at))).serving("tcp", addr)
			until(t, "0 answers", func() bool { return asked("http://"+addr+"/") == "0" })
			for active := 1; active < len(backends); active++ {
				before := written.Load()
				say(active)
				want := fmt.Sprint(active)
				until(t, want+" answers", func() bool { return asked("http://"+addr+"/") == want })
				cost := written.Load() - before
				t.Logf("two of %d instances changed: %d bytes", many, cost)
				if delta := w.apiType == "DELTA_GRPC"; delta && cost > 2<<10 || !delta && cost < many*least {
					t.Errorf("%d bytes", cost)
				}
			}

			plane.signal(os.Kill)
			plane.code(10 * time.Second)
			before := written.Load()
			say(0)
			launch(t, program(t, "./cmd/attache-control"), "-c", config, "--status-address", "off").serving("tcp", control)
			until(t, "0 answers after the control plane is back", func() bool { return asked("http://"+addr+"/") == "0" })
			cost := written.Load() - before
			t.Logf("another life of the control plane, and two instances changed: %d bytes", cost)
			if w.apiType == "DELTA_GRPC" && cost > 4<<10 {
				t.Errorf("%d bytes to say what the sidecar has", cost)
			}
			http.DefaultClient.CloseIdleConnections()
		})
	}
}
