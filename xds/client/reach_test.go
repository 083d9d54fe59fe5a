package client

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attache-mesh/attache/proxy/config"
)

// put moves a file into place.
func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name+"~", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+"~", name); err != nil {
		t.Fatal(err)
	}
}

func edsFile(service string, port uint16) string {
	return fmt.Sprintf(`{"resources": [{"@type": "%s", "cluster_name": "%s", "endpoints": [{"lb_endpoints": [{"endpoint": {"address":
		{"socket_address": {"address": "127.0.0.1", "port_value": %d}}}}]}]}]}`, kinds[eds].url, service, port)
}

// The addresses of a control plane stand in a file, which is read when it is dialled:
// there is none at first, then there is one.
func TestControlPlaneInAFile(t *testing.T) {
	s, r, m := newStock(t, "127.0.0.1:0"), newRecorder(), modes[0]
	s.set(t, m.cluster("c"), endpoints("c", 1))
	file := filepath.Join(t.TempDir(), "eds.json")
	o := m.options(s.address, r)
	plane := o.Planes["control"]
	plane.Addresses, plane.Service = nil, "there"
	plane.Endpoints = config.Source{Kind: config.SourcePath, Path: file}
	o.Planes = map[string]config.ControlPlane{"control": plane}
	c := run(t, o)
	eventually(t, "the attempt", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.feeds) > 0 && c.feeds[0].err != nil && strings.Contains(c.feeds[0].err.Error(), "no such file")
	})
	put(t, file, edsFile("there", s.address.Port()))
	readySoon(t, c)
	if r.last().Cluster("c") == nil {
		t.Error("no cluster")
	}
}

// What a file lacks is said.
func TestAddressesInAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "eds.json")
	plane := &config.ControlPlane{Service: "there", Endpoints: config.Source{Kind: config.SourcePath, Path: file}}
	for _, c := range []struct{ text, err string }{
		{`{"resources": []}`, "no endpoints there"},
		{edsFile("elsewhere", 1), "no endpoints there"},
		{`{"resources": [{"@type": "` + kinds[eds].url + `", "cluster_name": "there"}]}`, "there is none"},
		{edsFile("there", 0), ""},
		{edsFile("there", 1), ""},
	} {
		put(t, file, c.text)
		all, err := addresses(plane)
		if c.err == "" && (err != nil || len(all) != 1) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v %v", c.text, all, err)
		}
	}
}

// What names no cluster that there is cannot be dialled, be it in a file or not.
func TestUnknownControlPlane(t *testing.T) {
	o := modes[0].options(netip.AddrPort{}, newRecorder())
	o.ADS.Servers = append(o.ADS.Servers, config.XDSServer{Cluster: "missing"})
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "unknown cluster 'missing'") {
		t.Error(err)
	}
}
