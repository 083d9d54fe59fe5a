//go:build infra

package infra

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/conformance/infra/real"
)

// chain is everything from where services come from to an application's port:
// an origin, attache-control, attache, and real servers behind. It serves
// "cache" by memcached and "web" by HTTP.
type chain struct {
	*testing.T
	origin     origin
	control    *real.Process
	xds        string // where the control plane serves
	status     string // and where it says how it is
	sidecar    *sidecar
	cache, web string // the application's ports
}

// backends is how many servers of a service there are at most, and are at first
// but one.
const backends = 4

// startChain begins with one backend less than there are.
func startChain(t *testing.T, o origin) *chain {
	t.Helper()
	ports := real.Ports(t, 4)
	at := func(i int) string { return fmt.Sprint("127.0.0.1:", ports[i]) }
	c := &chain{T: t, origin: o, xds: at(0), status: at(1), cache: at(2), web: at(3)}
	startBackends(t, o)
	cache, web := o.set("cache", backends-1), o.set("web", backends-1)

	scheme, _, _ := strings.Cut(o.reference("cache"), ":")
	path := filepath.Join(t.TempDir(), "control.yaml")
	text := fmt.Sprintf(`
server: {address: "%s"}
sources:
  %s: %s
ambassadors:
- name: tests
  sidecars: {cluster: tests}
  ports:
  - {name: cache, port: %d, protocol: memcached, service: "%s"}
  - {name: web, port: %d, protocol: http, service: "%s"}
`, c.xds, scheme, o.config(), ports[2], o.reference("cache"), ports[3], o.reference("web"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.control = real.Start(t, "attache-control", program(t, "attache-control"), "-c", path, "--status-address", c.status)
	c.control.Ready(20*time.Second, func() bool { return c.page("/ready") != "" })
	c.sidecar = startSidecar(t, c.xds, "s1")
	c.sidecar.uses(time.Now(), 5*time.Second, "cache", cache)
	c.sidecar.uses(time.Now(), 5*time.Second, "web", web)
	return c
}

// startBackends runs a real server on every address that a service may have.
func startBackends(t *testing.T, o origin) {
	for _, b := range o.backends("cache", backends) {
		real.StartMemcached(t, b.String())
	}
	for _, b := range o.backends("web", backends) {
		serveWeb(t, b)
	}
}

// serveWeb answers with the address that was dialled.
func serveWeb(t *testing.T, at netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, at.String()) })}
	ended := make(chan struct{})
	go func() {
		_ = s.Serve(l)
		close(ended)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-ended
	})
}

// page is a page of the control plane's status server; "" if it is not to be had
// or the status is not 200.
func (c *chain) page(path string) string {
	client := http.Client{Timeout: 2 * time.Second}
	text, err := get(&client, "http://"+c.status+path)
	if err != nil {
		return ""
	}
	return text
}

// said is what /status says of a service.
type said struct {
	Name       string  `json:"name"`
	State      string  `json:"state"`
	AgeSeconds float64 `json:"age_seconds"`
	Instances  int     `json:"instances"`
	Error      string  `json:"error"`
}

func (c *chain) service(name string) said {
	var status struct {
		Services []said `json:"services"`
	}
	if json.Unmarshal([]byte(c.page("/status")), &status) != nil {
		return said{}
	}
	i := slices.IndexFunc(status.Services, func(s said) bool { return s.Name == c.origin.reference(name) })
	if i < 0 {
		return said{}
	}
	return status.Services[i]
}

// loaded begins a load on both ports; end it with its cleanup, or the test's.
func (c *chain) loaded() {
	memcachedTraffic(c.T, c.cache)
	httpTraffic(c.T, c.web)
}

// follows makes a change of both services and demands that the sidecar has it
// within the origin's own delay and a second.
func (c *chain) follows(n int) {
	c.Helper()
	for _, service := range []string{"cache", "web"} {
		addrs := c.origin.set(service, n)
		c.sidecar.uses(time.Now(), longestSet(c.origin), service, addrs)
	}
}

// ages waits until the age of what is used is said to grow: that the source
// fails, and since when.
func (c *chain) ages(within time.Duration) {
	c.Helper()
	var s said
	real.Until(c.T, within, "the status says that the source fails", func() bool {
		s = c.service("cache")
		return s.State == "failed" && s.Error != ""
	})
	first := s.AgeSeconds
	real.Until(c.T, 5*time.Second, "the age grows", func() bool { return c.service("cache").AgeSeconds > first+0.2 })
	if got := c.service("cache").Instances; got == 0 {
		c.Error("no instance is used while the source is away")
	}
}

// fresh waits until the source's own word is used again.
func (c *chain) fresh(within time.Duration) {
	c.Helper()
	for _, service := range []string{"cache", "web"} {
		took := real.Until(c.T, within, service+" is fresh again", func() bool { return c.service(service).State == "fresh" })
		c.Logf("%s is fresh again after %v", service, took.Round(time.Millisecond))
	}
}

// controlKilled: the control plane dies under load and comes back; the sidecar
// shows it, loses nothing, and follows again.
func (c *chain) controlKilled() {
	c.Helper()
	c.control.Kill()
	real.Until(c.T, 5*time.Second, "the sidecar says that it has no control plane", func() bool {
		state, found := c.sidecar.stat("control_plane.connected_state")
		return found && state == 0
	})
	first, _ := c.sidecar.stat("control_plane.config_age_seconds")
	real.Until(c.T, 5*time.Second, "the age of the configuration grows", func() bool {
		age, found := c.sidecar.stat("control_plane.config_age_seconds")
		return found && age > first
	})
	c.control.Restart()
	c.control.Ready(20*time.Second, func() bool { return c.page("/ready") != "" })
	took := real.Until(c.T, 20*time.Second, "the sidecar is connected", func() bool {
		state, _ := c.sidecar.stat("control_plane.connected_state")
		return state == 1
	})
	c.Logf("connected again after %v", took.Round(time.Millisecond))
}
