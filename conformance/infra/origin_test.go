//go:build infra

package infra

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/conformance/infra/real"
	"github.com/hashicorp/consul/api"
)

// origin is where services come from: one of the kinds that the control plane
// knows, on a real server.
type origin interface {
	// config is the origin's entry in the control plane's sources, in YAML's flow
	// style, under the scheme of reference.
	config() string
	// reference names a service as the control plane's file does.
	reference(service string) string
	// backends are addresses that the service may have, on which the test listens
	// before the service has any.
	backends(service string, n int) []netip.AddrPort
	// set makes the service consist of n of its backends and gives their addresses.
	set(service string, n int) []string
}

// loopback are n addresses on free ports.
func loopback(t *testing.T, n int) (addrs []netip.AddrPort) {
	for _, p := range real.Ports(t, n) {
		addrs = append(addrs, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(p)))
	}
	return addrs
}

// addressed remembers the backends of each service.
type addressed map[string][]netip.AddrPort

func (a addressed) first(service string, n int) (addrs []string) {
	for _, b := range a[service][:n] {
		addrs = append(addrs, b.String())
	}
	return addrs
}

// fileOrigin is a file that is moved into place.
type fileOrigin struct {
	t        *testing.T
	path     string
	services map[string]int
	addressed
}

func newFileOrigin(t *testing.T) *fileOrigin {
	o := &fileOrigin{t: t, path: filepath.Join(t.TempDir(), "services.yaml"), services: map[string]int{}, addressed: addressed{}}
	o.save()
	return o
}

func (o *fileOrigin) config() string            { return fmt.Sprintf("{kind: file, path: %s}", o.path) }
func (o *fileOrigin) reference(s string) string { return "file://" + s }

func (o *fileOrigin) backends(service string, n int) []netip.AddrPort {
	o.addressed[service] = loopback(o.t, n)
	return o.addressed[service]
}

func (o *fileOrigin) set(service string, n int) []string {
	o.services[service] = n
	o.save()
	return o.first(service, n)
}

func (o *fileOrigin) save() {
	o.t.Helper()
	text := "services:\n"
	for service, n := range o.services {
		text += fmt.Sprintf("  %s: [%s]\n", service, quoted(o.first(service, n)))
	}
	if len(o.services) == 0 {
		text = "services: {}\n"
	}
	if err := os.WriteFile(o.path+".new", []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
	if err := os.Rename(o.path+".new", o.path); err != nil {
		o.t.Fatal(err)
	}
}

func quoted(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return `"` + strings.Join(list, `", "`) + `"`
}

// consulOrigin is an agent of Consul.
type consulOrigin struct {
	t     *testing.T
	agent *real.Consul
	has   map[string]int
	addressed
}

func newConsulOrigin(t *testing.T, agent *real.Consul) *consulOrigin {
	return &consulOrigin{t: t, agent: agent, has: map[string]int{}, addressed: addressed{}}
}

func (o *consulOrigin) config() string {
	return fmt.Sprintf("{kind: consul, addresses: [\"http://%s\"], allow_stale: true}", o.agent.HTTP)
}
func (o *consulOrigin) reference(s string) string { return "consul://" + s }

func (o *consulOrigin) backends(service string, n int) []netip.AddrPort {
	o.addressed[service] = loopback(o.t, n)
	return o.addressed[service]
}

func (o *consulOrigin) set(service string, n int) []string {
	o.t.Helper()
	for i := o.has[service]; i < n; i++ {
		b := o.addressed[service][i]
		o.agent.Register(&api.AgentServiceRegistration{ID: id(service, i), Name: service, Address: b.Addr().String(), Port: int(b.Port())})
	}
	for i := n; i < o.has[service]; i++ {
		o.agent.Deregister(id(service, i))
	}
	o.has[service] = n
	return o.first(service, n)
}

// forgotten: the agent died and kept nothing.
func (o *consulOrigin) forgotten() { clear(o.has) }

func id(service string, n int) string { return fmt.Sprint(service, "-", n) }

// dnsOrigin is dnsmasq: cache.test has an address for each backend, all on one
// port.
type dnsOrigin struct {
	t      *testing.T
	server *real.DNS
	names  map[string][]string
	addressed
}

func newDNSOrigin(t *testing.T) *dnsOrigin {
	return &dnsOrigin{t: t, server: real.StartDNS(t), names: map[string][]string{}, addressed: addressed{}}
}

func (o *dnsOrigin) config() string {
	return fmt.Sprintf("{kind: dns, servers: [%q], min_ttl: 100ms, timeout: 500ms}", o.server.Addr)
}

func (o *dnsOrigin) reference(s string) string {
	return fmt.Sprintf("dns://%s.test:%d", s, o.addressed[s][0].Port())
}

func (o *dnsOrigin) backends(service string, n int) (addrs []netip.AddrPort) {
	port := uint16(real.Ports(o.t, 1)[0])
	for i := range n {
		addrs = append(addrs, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(10 + i)}), port))
	}
	o.addressed[service] = addrs
	return addrs
}

func (o *dnsOrigin) set(service string, n int) []string {
	var ips []string
	for _, b := range o.addressed[service][:n] {
		ips = append(ips, b.Addr().String())
	}
	o.names[service+".test"] = ips
	o.server.Hosts(o.names)
	return o.first(service, n)
}

// srvOrigin is dnsmasq with a service record for each backend: _cache._tcp.test
// names hosts and ports.
type srvOrigin struct {
	dnsOrigin
	records map[string][]real.Target
}

func newSRVOrigin(t *testing.T) *srvOrigin {
	return &srvOrigin{*newDNSOrigin(t), map[string][]real.Target{}}
}

func (o *srvOrigin) reference(s string) string { return fmt.Sprintf("srv://_%s._tcp.test", s) }

// backends have a host and a port each.
func (o *srvOrigin) backends(service string, n int) (addrs []netip.AddrPort) {
	for i, port := range real.Ports(o.t, n) {
		addr := netip.AddrFrom4([4]byte{127, 0, 0, byte(10 + i)})
		addrs = append(addrs, netip.AddrPortFrom(addr, uint16(port)))
		o.names[fmt.Sprintf("%s-%d.test", service, i)] = []string{addr.String()}
	}
	o.server.Hosts(o.names)
	o.addressed[service] = addrs
	return addrs
}

// set restarts the server: it reads records at its start only.
func (o *srvOrigin) set(service string, n int) []string {
	var records []real.Target
	for i, b := range o.addressed[service][:n] {
		records = append(records, real.Target{Host: fmt.Sprintf("%s-%d.test", service, i), Port: int(b.Port()), Weight: 1 + i})
	}
	o.records["_"+service+"._tcp.test"] = records
	o.server.Services(o.records)
	return o.first(service, n)
}

// kubeOrigin is a Kubernetes cluster: each service is a StatefulSet whose pods
// kwok makes ready at once, on addresses that it hands out in turn.
type kubeOrigin struct {
	t       *testing.T
	cluster *real.Kube
	made    map[string]bool
}

const (
	cachePort = 11211
	webPort   = 8080
	// podAddresses is how many of the cluster's first pod addresses have backends:
	// more than there are pods.
	podAddresses = 24
)

func newKubeOrigin(t *testing.T) *kubeOrigin {
	return &kubeOrigin{t: t, cluster: real.StartKube(t), made: map[string]bool{}}
}

func (o *kubeOrigin) config() string {
	return fmt.Sprintf("{kind: kubernetes, kubeconfig: %s}", o.cluster.Kubeconfig)
}

func (o *kubeOrigin) reference(s string) string {
	return fmt.Sprintf("k8s://default/%s:main", s)
}

func servicePort(service string) int {
	if service == "web" {
		return webPort
	}
	return cachePort
}

func (o *kubeOrigin) backends(service string, _ int) (addrs []netip.AddrPort) {
	for i := range podAddresses {
		addrs = append(addrs, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 244, 0, byte(1 + i)}), uint16(servicePort(service))))
	}
	return addrs
}

func (o *kubeOrigin) set(service string, n int) (addrs []string) {
	o.t.Helper()
	if o.made[service] {
		o.cluster.Scale(service, int32(n))
	} else {
		o.cluster.Service(service, int32(servicePort(service)), true)
		o.cluster.StatefulSet(service, int32(n))
		o.made[service] = true
	}
	for _, p := range o.cluster.ReadyPods(service, n) {
		if p.Addr.As4()[3] > podAddresses || p.Addr.As4()[2] != 0 {
			o.t.Fatalf("pod %s has %s, where nobody listens", p.Name, p.Addr)
		}
		addrs = append(addrs, netip.AddrPortFrom(p.Addr, uint16(servicePort(service))).String())
	}
	return addrs
}

// longestSet is how long a change made by set may take to be seen: the origin's
// own delay is in it.
func longestSet(o origin) time.Duration {
	switch o.(type) {
	case *dnsOrigin, *srvOrigin:
		return 2*time.Second + soon // answers live for a second, and are asked for again after that
	}
	return soon
}
