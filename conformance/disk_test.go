package conformance

// A sidecar that starts while its control plane is away: from what it kept on
// disk, or not at all.

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/attache-mesh/attache/conformance/stockxds"
)

// caching is a sidecar with --config-cache and its control plane.
type caching struct {
	*testing.T
	way                way
	control            *stockxds.Server
	addr, admin, dir   string
	bootstrap, backend string // backend says "blue"
}

// startCaching leaves a cache on disk of which all goes to blue; neither the
// sidecar nor the control plane runs any more.
func startCaching(t *testing.T, w way) *caching {
	t.Helper()
	c := &caching{T: t, way: w, control: stockxds.StartServer(t, w.ads), addr: freeAddr(t), admin: freeAddr(t), dir: t.TempDir(), backend: named(t, "blue")}
	c.control.Set("1", stockxds.Parse(t, w.web(c.addr, c.backend)))
	c.bootstrap = write(t, w.bootstrap(c.admin, c.control.Addr()))
	s := c.launch()
	until(t, "blue answers", c.says("blue"))
	until(t, "ready", c.ready)
	if from, _ := c.source(); from != "control_plane" {
		t.Fatalf("config_source %q at first", from)
	}
	until(t, "the cache is there", func() bool { _, err := os.Stat(c.file()); return err == nil })
	c.end(s)
	c.control.Stop()
	return c
}

func (c *caching) launch() *process {
	c.Helper()
	return launch(c.T, program(c.T, "./cmd/attache"), "-c", c.bootstrap, "--config-cache", c.dir)
}

// end is sudden: what is on disk does not depend on a last word.
func (c *caching) end(s *process) {
	c.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		c.Fatal(err)
	}
	s.code(10 * time.Second)
}

// file is where the resources are kept.
func (c *caching) file() string { return filepath.Join(c.dir, "resources.v1") }

func (c *caching) says(name string) func() bool {
	return func() bool { return asked("http://"+c.addr+"/") == name }
}

func (c *caching) ready() bool {
	client := http.Client{Timeout: 2 * time.Second}
	r, err := client.Get("http://" + c.admin + "/ready")
	if err != nil {
		return false
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// stat is the text of a row of /stats, "" if there is none.
func (c *caching) stat(name string) string {
	for line := range strings.Lines(asked("http://" + c.admin + "/stats")) {
		if value, is := strings.CutPrefix(line, name+": "); is {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}

// source is what /server_info says of the configuration in use.
func (c *caching) source() (from string, age time.Duration) {
	c.Helper()
	var info struct {
		Source string `json:"config_source"`
		Age    string `json:"config_age"`
	}
	if err := json.Unmarshal([]byte(asked("http://"+c.admin+"/server_info")), &info); err != nil {
		c.Fatal(err)
	}
	age, err := time.ParseDuration(info.Age)
	if err != nil {
		c.Fatal(err)
	}
	return info.Source, age
}

// TestStartFromDisk: within a second, said to be from disk and how old, and
// replaced as soon as the control plane is back.
func TestStartFromDisk(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			c := startCaching(t, w)
			fastest := time.Hour
			for range 3 { // one of the starts has to have the machine to itself
				began := time.Now()
				s := c.launch()
				until(t, "ready from disk", c.ready)
				fastest = min(fastest, time.Since(began))
				if !c.says("blue")() {
					t.Fatal("ready, and blue does not answer")
				}
				mustHave(t, s.said.String(), "starting from disk")
				c.end(s)
			}
			if fastest > time.Second {
				t.Errorf("ready after %v", fastest)
			}

			s := c.launch()
			until(t, "ready from disk", c.ready)
			until(t, "it is a second old", func() bool { _, age := c.source(); return age >= time.Second })
			if from, age := c.source(); from != "disk" || age > time.Hour {
				t.Errorf("/server_info: from %q, %v old", from, age)
			}
			for name, want := range map[string]string{
				"control_plane.config_source": "disk", "control_plane.connected_state": "0", "config_cache.in_use": "1", "config_cache.refused": "0",
			} {
				if got := c.stat(name); got != want {
					t.Errorf("/stats: %s: %q, want %q", name, got, want)
				}
			}
			for _, name := range []string{"control_plane.config_age_seconds", "config_cache.age_seconds"} {
				if got := c.stat(name); got == "" || got == "0" {
					t.Errorf("/stats: %s: %q", name, got)
				}
			}

			c.control.Set("2", stockxds.Parse(t, w.web(c.addr, named(t, "green"))))
			c.control.Start()
			until(t, "green answers", c.says("green"))
			until(t, "it is the control plane's", func() bool { from, age := c.source(); return from == "control_plane" && age == 0 })
			if got := c.stat("config_cache.in_use"); got != "0" {
				t.Errorf("/stats: config_cache.in_use: %q", got)
			}
			for _, e := range c.control.Events() {
				if e.Refused != "" {
					t.Errorf("%s refused: %s", e.TypeURL, e.Refused)
				}
			}
			select {
			case <-s.exited:
				t.Error("it has ended")
			default:
			}
		})
	}
}

// TestCacheRefused: of a cache that is not whole nothing is used; the file and
// the reason are on stderr, and the start waits for the control plane.
func TestCacheRefused(t *testing.T) {
	whole := startCaching(t, ways[0])
	kept, err := os.ReadFile(whole.file())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []struct {
		name   string
		change func(file []byte) []byte
		reason string
	}{
		{"a byte flipped", func(f []byte) []byte { f[len(f)-20] ^= 0xff; return f }, "corrupt: the checksum does not fit"},
		{"a byte of its head flipped", func(f []byte) []byte { f[0] ^= 0xff; return f }, "corrupt: first line"},
		{"cut", func(f []byte) []byte { return f[:len(f)*2/3] }, "truncated"},
		{"cut to nothing", func([]byte) []byte { return nil }, "corrupt: its first line is not whole"},
	} {
		t.Run(b.name, func(t *testing.T) {
			c := *whole
			c.T = t
			if err := os.WriteFile(c.file(), b.change(slices.Clone(kept)), 0o600); err != nil {
				t.Fatal(err)
			}
			s := c.launch()
			until(t, "the refusal", func() bool { return strings.Contains(s.said.String(), "the config cache is refused") })
			mustHave(t, s.said.String(), c.file(), b.reason)
			until(t, "the control plane is known to be away", func() bool { n := c.stat("control_plane.connect_fail"); return n != "" && n != "0" && n != "1" })
			if c.ready() || c.stat("config_cache.refused") != "1" || c.stat("config_cache.in_use") != "0" {
				t.Errorf("ready %v, refused %q, in use %q", c.ready(), c.stat("config_cache.refused"), c.stat("config_cache.in_use"))
			}
			if conn, err := net.Dial("tcp", c.addr); err == nil {
				conn.Close()
				t.Error("the listener is there")
			}

			c.control.Start()
			defer c.control.Stop()
			until(t, "blue answers", c.says("blue"))
			until(t, "ready", c.ready)
		})
	}
}

// TestClientStatus: grpc on the admin address tells what was taken, and what
// was not and why.
func TestClientStatus(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			control, addr, admin := stockxds.StartServer(t, w.ads), freeAddr(t), freeAddr(t)
			web := w.web(addr, named(t, "blue"))
			control.Set("1", stockxds.Parse(t, web))
			launch(t, program(t, "./cmd/attache"), "-c", write(t, w.bootstrap(admin, control.Addr()))).serving("tcp", addr)
			conn, err := grpc.NewClient(admin, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			service := statusv3.NewClientStatusDiscoveryServiceClient(conn)

			var last *statusv3.ClientConfig
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("last: %v", last)
				}
			})
			// told is every resource's kind, name, status and what was said against it.
			told := func() string {
				r, err := service.FetchClientStatus(t.Context(), &statusv3.ClientStatusRequest{})
				if err != nil || len(r.GetConfig()) != 1 || r.GetConfig()[0].GetNode().GetId() != "sidecar" {
					t.Fatalf("%v, %v", r, err)
				}
				last = r.GetConfig()[0]
				var lines []string
				for _, x := range last.GetGenericXdsConfigs() {
					_, kind, _ := strings.Cut(x.GetTypeUrl(), "v3.")
					line := kind + " " + x.GetName() + " " + x.GetClientStatus().String()
					if x.GetClientStatus() == adminv3.ClientResourceStatus_ACKED && (x.GetVersionInfo() == "" || x.GetXdsConfig() == nil || x.GetLastUpdated() == nil) {
						line += " but without version, body or time"
					}
					if strings.Contains(x.GetErrorState().GetDetails(), "minimum_ring_size") {
						line += " minimum_ring_size"
					}
					lines = append(lines, line)
				}
				slices.Sort(lines)
				return strings.Join(lines, "\n")
			}
			const taken = `Cluster app ACKED%s
ClusterLoadAssignment app ACKED
Listener web ACKED
RouteConfiguration routes ACKED`
			until(t, "everything is taken", func() bool { return told() == fmt.Sprintf(taken, "") })

			control.Set("2", stockxds.Parse(t, web+`
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: wrong
  type: STATIC
  lb_policy: RING_HASH
  ring_hash_lb_config: {minimum_ring_size: 1099511627776}
  load_assignment: {cluster_name: wrong}
`))
			until(t, "one is refused", func() bool { return told() == fmt.Sprintf(taken, "\nCluster wrong NACKED minimum_ring_size") })
		})
	}
}
