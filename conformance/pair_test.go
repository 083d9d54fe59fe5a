package conformance

// Both programs together: what attache-control makes of its file, and attache of
// what it is sent.

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// pair is attache-control with a file of services, and a sidecar that it drives.
type pair struct {
	*testing.T
	dir             string
	control, status string
	admin           string
	plane, sidecar  *process
}

// startPair runs attache-control; config is its ambassadors, services its file.
func startPair(t *testing.T, services, config string) *pair {
	t.Helper()
	p := &pair{T: t, dir: t.TempDir(), control: freeAddr(t), status: freeAddr(t), admin: freeAddr(t)}
	p.say("services.yaml", services)
	p.configure(config)
	p.startPlane()
	return p
}

// startPlane runs attache-control, or runs it again.
func (p *pair) startPlane() {
	p.Helper()
	p.plane = launch(p.T, program(p.T, "./cmd/attache-control"), "-c", p.dir+"/control.yaml", "--status-address", p.status)
	p.plane.serving("tcp", p.control)
}

// startSidecar runs attache by delta ADS until it accepts at addr.
func (p *pair) startSidecar(addr string, flags ...string) {
	p.Helper()
	p.sidecar = launch(p.T, append([]string{program(p.T, "./cmd/attache"), "-c", write(p.T, ways[1].bootstrap(p.admin, p.control))}, flags...)...)
	p.sidecar.serving("tcp", addr)
}

// configure replaces attache-control's file.
func (p *pair) configure(config string) {
	p.Helper()
	p.say("control.yaml", fmt.Sprintf("server: {address: %q, load_reports: 1s}\nsources: {file: {kind: file, path: %q}}\n%s",
		p.control, p.dir+"/services.yaml", config))
}

// say replaces a file as one should: whole.
func (p *pair) say(name, text string) {
	p.Helper()
	if err := os.WriteFile(p.dir+"/"+name+".new", []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
	if err := os.Rename(p.dir+"/"+name+".new", p.dir+"/"+name); err != nil {
		p.Fatal(err)
	}
}

// shown is what the tests read of /status.
type shown struct {
	Quarantine []struct{ Type, Name, Field, Reason, Node, Good string }
	Totals     struct{ Responses, Acks, Nacks uint64 }
	Loads      []struct {
		Ambassador, Cluster, Zone string
		Issued, Success, Failed   uint64
	}
}

func (p *pair) shown() (s shown) {
	p.Helper()
	text := asked("http://" + p.status + "/status")
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		p.Fatalf("%v in %q", err, text)
	}
	return s
}

// port is an address's.
func port(addr string) string {
	_, port, _ := strings.Cut(addr, ":")
	return port
}

// TestLoadReports: what a sidecar sent to whom is in attache-control's status
// and metrics, by cluster and locality.
func TestLoadReports(t *testing.T) {
	web := freeAddr(t)
	p := startPair(t, fmt.Sprintf("services: {web: [{id: a, address: %q, zone: z1}]}", named(t, "a")), fmt.Sprintf(
		`ambassadors: [{name: shop, ports: [{name: web, port: %s, protocol: http, service: "file://web"}]}]`, port(web)))
	p.startSidecar(web)
	until(t, "the sidecar reports", func() bool {
		return strings.Contains(p.plane.said.String(), "serving") && asked("http://"+web+"/") == "a"
	})
	// A report has what came after the stream was opened: ask until some is there.
	until(t, "the status has the load", func() bool {
		asked("http://" + web + "/")
		s := p.shown()
		return len(s.Loads) == 1 && s.Loads[0].Cluster == "web" && s.Loads[0].Ambassador == "shop" && s.Loads[0].Zone == "z1" &&
			s.Loads[0].Issued > 3 && s.Loads[0].Success > 3 && s.Loads[0].Failed == 0
	})
	metrics := asked("http://" + p.status + "/metrics")
	mustHave(t, metrics, `attache_control_load_issued_total{ambassador="shop",cluster="web",region="",zone="z1",sub_zone="",priority="0"} `)
}

// TestQuarantineEndToEnd: a listener whose address is taken is refused by the
// sidecar. What else is pushed is used; metric, log and status name the one; and
// one push mends it.
func TestQuarantineEndToEnd(t *testing.T) {
	web, free, taken := freeAddr(t), freeAddr(t), named(t, "somebody else")
	config := func(raw string) string {
		return fmt.Sprintf(`
ambassadors:
- name: shop
  ports: [{name: web, port: %s, protocol: http, service: "file://web"}]
  envoy:
    listeners:
    - name: raw
      address: {socket_address: {address: 127.0.0.1, port_value: %s}}
      filter_chains:
      - filters:
        - name: tcp
          typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: raw, cluster: web}
`, port(web), port(raw))
	}
	services := func(backend string) string { return fmt.Sprintf("services: {web: [{id: a, address: %q}]}", backend) }
	p := startPair(t, services(named(t, "one")), config(taken))
	p.startSidecar(web)
	until(t, "one answers", func() bool { return asked("http://"+web+"/") == "one" })
	until(t, "the listener is in quarantine", func() bool { return len(p.shown().Quarantine) == 1 })
	q := p.shown().Quarantine[0]
	if q.Type != "Listener" || q.Name != "raw" || q.Node != "sidecar" || !strings.Contains(q.Reason, "address already in use") {
		t.Errorf("status: %+v", q)
	}
	t.Logf("refused: %+v", q)
	mustHave(t, asked("http://"+p.status+"/metrics"),
		`attache_control_quarantined{group="shop/attache",client="attache/`, `type="Listener",resource="raw"} 1`,
		`attache_control_refusals_total{type="Listener",program="attache/`)
	mustHave(t, p.plane.said.String(), "resource refused by a client and held back", "name=raw", "address already in use")

	p.say("services.yaml", services(named(t, "two")))
	changed := time.Now()
	until(t, "others flow", func() bool { return asked("http://"+web+"/") == "two" })
	if took := time.Since(changed); took > time.Second {
		t.Errorf("a change beside the refused listener took %v", took)
	}
	if n := p.shown().Totals.Nacks; n > 2 {
		t.Errorf("%d NACKs of one listener", n)
	}

	before := p.shown().Totals.Responses
	p.configure(config(free))
	until(t, "the mended listener is used", func() bool { return asked("http://"+free+"/") == "two" })
	until(t, "nothing is in quarantine", func() bool { return len(p.shown().Quarantine) == 0 })
	if n := p.shown().Totals.Responses - before; n > 2 {
		t.Errorf("%d responses to mend it", n)
	}
	mustHave(t, p.plane.said.String(), "resource no longer held back")
}
