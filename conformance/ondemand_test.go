package conformance

// What requests lack is asked for while they wait: clusters, virtual hosts, the route
// tables of scopes. The control plane is one that speaks the incremental protocol and
// notes what it is asked.

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/attache-mesh/attache/conformance/stockxds"
)

// askedServer answers names that it has, says of those in none that there are none, and
// keeps silent about all others.
type askedServer struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	clusterservice.UnimplementedClusterDiscoveryServiceServer
	routeservice.UnimplementedVirtualHostDiscoveryServiceServer

	mu        sync.Mutex
	has       map[string]*discoveryv3.Resource // by type and name, or alias
	none      map[string]bool
	asked     []string // type and name, each time
	dropped   []string
	refusals  []string
	streams   map[*askedStream]bool
	responses int
}

type askedStream struct {
	send  chan *discoveryv3.DeltaDiscoveryResponse
	wants map[string]bool
}

type deltaStream interface {
	Send(*discoveryv3.DeltaDiscoveryResponse) error
	Recv() (*discoveryv3.DeltaDiscoveryRequest, error)
}

func (s *askedServer) DeltaAggregatedResources(g discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return s.serve(g)
}

func (s *askedServer) DeltaClusters(g clusterservice.ClusterDiscoveryService_DeltaClustersServer) error {
	return s.serve(g)
}

func (s *askedServer) DeltaVirtualHosts(g routeservice.VirtualHostDiscoveryService_DeltaVirtualHostsServer) error {
	return s.serve(g)
}

func startAsked(t *testing.T) (s *askedServer, addr string) {
	t.Helper()
	s = &askedServer{has: map[string]*discoveryv3.Resource{}, none: map[string]bool{}, streams: map[*askedStream]bool{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, s)
	clusterservice.RegisterClusterDiscoveryServiceServer(g, s)
	routeservice.RegisterVirtualHostDiscoveryServiceServer(g, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = g.Serve(l)
	}()
	t.Cleanup(func() {
		g.Stop()
		<-done
	})
	return s, l.Addr().String()
}

func (s *askedServer) serve(g deltaStream) error {
	one := &askedStream{send: make(chan *discoveryv3.DeltaDiscoveryResponse, 1000), wants: map[string]bool{}}
	s.mu.Lock()
	s.streams[one] = true
	s.mu.Unlock()
	over := make(chan struct{})
	defer func() {
		s.mu.Lock()
		delete(s.streams, one)
		s.mu.Unlock()
		close(over)
	}()
	go func() {
		for {
			select {
			case r := <-one.send:
				_ = g.Send(r)
			case <-over:
				return
			}
		}
	}()
	for {
		r, err := g.Recv()
		if err != nil {
			return nil
		}
		s.hear(one, r)
	}
}

func (s *askedServer) hear(one *askedStream, r *discoveryv3.DeltaDiscoveryRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	url := r.GetTypeUrl()
	if text := r.GetErrorDetail().GetMessage(); text != "" {
		s.refusals = append(s.refusals, text)
	}
	for _, name := range r.GetResourceNamesUnsubscribe() {
		delete(one.wants, url+" "+name)
		s.dropped = append(s.dropped, kindOf(url)+" "+name)
	}
	names := r.GetResourceNamesSubscribe()
	if len(names) == 0 && r.GetResponseNonce() == "" && len(r.GetResourceNamesUnsubscribe()) == 0 {
		names = []string{"*"}
	}
	for _, name := range names {
		key := url + " " + name
		one.wants[key] = true
		s.asked = append(s.asked, kindOf(url)+" "+name)
		s.tell(one, key)
	}
}

func kindOf(url string) string { return url[strings.LastIndexByte(url, '.')+1:] }

// tell says what there is of a type and name, if anything can be said. s.mu is held.
func (s *askedServer) tell(one *askedStream, key string) {
	url, name, _ := strings.Cut(key, " ")
	s.responses++
	r := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: url, Nonce: fmt.Sprint(s.responses)}
	switch has := s.has[key]; {
	case has != nil:
		r.Resources = append(r.Resources, has)
	case s.none[key]:
		r.RemovedResources = []string{name}
	default:
		return
	}
	one.send <- r
}

// set gives a resource, as stockxds.Parse reads it, and tells those that want it.
func (s *askedServer) set(t *testing.T, body string, name string, aliases ...string) {
	t.Helper()
	for url, all := range stockxds.Parse(t, body) {
		packed, err := anypb.New(all[0])
		if err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		r := &discoveryv3.Resource{Name: name, Aliases: aliases, Version: fmt.Sprint(s.responses + len(s.has) + 1), Resource: packed}
		for _, id := range append([]string{name}, aliases...) {
			s.has[url+" "+id] = r
			delete(s.none, url+" "+id)
		}
		for one := range s.streams {
			for _, id := range append([]string{name}, aliases...) {
				if one.wants[url+" "+id] {
					s.tell(one, url+" "+id)
					break
				}
			}
		}
		s.mu.Unlock()
	}
}

// remove says of a resource that there is none any more.
func (s *askedServer) remove(url string, names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		delete(s.has, url+" "+name)
		s.none[url+" "+name] = true
	}
	for one := range s.streams {
		for _, name := range names {
			if one.wants[url+" "+name] {
				s.tell(one, url+" "+names[0])
				break
			}
		}
	}
}

// count is how often something was asked for.
func (s *askedServer) count(what string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.asked {
		if a == what {
			n++
		}
	}
	return n
}

func (s *askedServer) wasDropped(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.dropped, what)
}

const (
	clusterURL = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	hostURL    = "type.googleapis.com/envoy.config.route.v3.VirtualHost"
	tableURL   = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

// onDemandBootstrap has listeners for clusters on demand by a stream of their own,
// and by ADS, for virtual hosts, for tables of scopes, and for TCP.
func onDemandBootstrap(xds, backend string, ports ...string) string {
	const (
		router = `{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}`
		filter = `{name: on_demand, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.on_demand.v3.OnDemand`
	)
	own := `{api_config_source: {api_type: DELTA_GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: xds}}]}, initial_fetch_timeout: 1s}`
	listener := func(at, filters, routes string) string {
		return fmt.Sprintf(`
  - name: l%[1]s
    address: {socket_address: {address: 127.0.0.1, port_value: %[1]s}}
    filter_chains: [{filters: [{name: hcm, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager,
      stat_prefix: l%[1]s, http_filters: [%[2]s, %[3]s], %[4]s}}]}]`, at, filters, router, routes)
	}
	routes := func(name string) string {
		return `route_config: {name: r, validate_clusters: false, virtual_hosts: [{name: all, domains: ["*"], routes: [
        {match: {path: /never}, route: {cluster_header: x-cluster}, typed_per_filter_config: {on_demand: {"@type": type.googleapis.com/envoy.extensions.filters.http.on_demand.v3.PerRouteConfig}}},
        {match: {path: /own}, route: {cluster_header: x-cluster}, typed_per_filter_config: {on_demand: {"@type": type.googleapis.com/envoy.extensions.filters.http.on_demand.v3.PerRouteConfig,
          odcds: {source: ` + own + `, timeout: 20s}}}},
        {match: {path: /named}, route: {cluster: ` + name + `}},
        {match: {prefix: /}, route: {cluster_header: x-cluster}}]}]}`
	}
	return `
node: {id: test, cluster: test}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
dynamic_resources:
  ads_config: {api_type: DELTA_GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: xds}}]}
static_resources:
  clusters:
  - {name: xds, type: STATIC, http2_protocol_options: {}, load_assignment: {cluster_name: xds, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ` + port(xds) + `}}}}]}]}}
  - {name: there, type: STATIC, load_assignment: {cluster_name: there, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ` + port(backend) + `}}}}]}]}}
  listeners:` +
		listener(ports[0], filter+`, odcds: {source: `+own+`, timeout: 1s}}}`, routes("i0c")) +
		listener(ports[1], filter+`, odcds: {source: {ads: {}}, timeout: 1s}}}`, routes("i1c")) +
		listener(ports[2], filter+`}}`, `rds: {route_config_name: t, config_source: {ads: {}}}`) +
		listener(ports[3], filter+`}}`, `scoped_routes: {name: s, rds_config_source: {ads: {}, initial_fetch_timeout: 1s}, scoped_rds: {scoped_rds_config_source: {ads: {}}},
        scope_key_builder: {fragments: [{header_value_extractor: {name: x-scope, index: 0}}]}}`) + `
  - name: raw
    address: {socket_address: {address: 127.0.0.1, port_value: ` + ports[4] + `}}
    filter_chains: [{filters: [{name: tcp, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy,
      stat_prefix: raw, cluster: raw, on_demand: {odcds_config: ` + own + `, timeout: 1s}}}]}]
`
}

// demandTable is the table whose virtual hosts come on demand.
const demandTable = `
- "@type": ` + tableURL + `
  name: t
  virtual_hosts: [{name: static, domains: [static.example], routes: [{match: {prefix: /}, route: {cluster: there}}]}]
  vhds: {config_source: {api_config_source: {api_type: DELTA_GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: xds}}]}, initial_fetch_timeout: 1s}}
`

func demandCluster(name, backend string) string {
	return `
- "@type": ` + clusterURL + `
  name: ` + name + `
  load_assignment: {cluster_name: x, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ` + port(backend) + `}}}}]}]}
`
}

func demandHost(name, domain, answer string) string {
	return `
- "@type": ` + hostURL + `
  name: ` + name + `
  domains: [` + domain + `]
  routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: ` + answer + `}}}]
`
}

// asker asks attache.
type asker struct{ t *testing.T }

// ask gives the status and the body; header is "name: value".
func (a asker) ask(at, path, header, body string) string {
	a.t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://"+at+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	name, value, _ := strings.Cut(header, ": ")
	if name == "host" {
		r.Host = value
	} else {
		r.Header.Set(name, value)
	}
	client := http.Client{Timeout: 30 * time.Second}
	res, err := client.Do(r)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return fmt.Sprint(res.StatusCode, " ", string(text))
}

// took is how long f takes.
func took(f func()) time.Duration {
	at := time.Now()
	f()
	return time.Since(at)
}

// TestOnDemand: a request waits for what it lacks, as long as it may, and what came
// stays, changes and goes as the control plane says.
func TestOnDemand(t *testing.T) {
	s, xds := startAsked(t)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, "echo "+string(body))
	}))
	t.Cleanup(backend.Close)
	at := []string{freeAddr(t), freeAddr(t), freeAddr(t), freeAddr(t), freeAddr(t)}
	origin := backend.Listener.Addr().String()
	s.set(t, demandTable, "t")
	s.set(t, `
- "@type": type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration
  name: late
  on_demand: true
  route_configuration_name: late
  key: {fragments: [{string_key: late}]}
`, "late", "*")
	launch(t, program(t, "./cmd/attache"), "-c", write(t, onDemandBootstrap(xds, origin, port(at[0]), port(at[1]), port(at[2]), port(at[3]), port(at[4]))))
	a := asker{t}
	until(t, "the listeners", func() bool { return a.ask(at[2], "/", "host: static.example", "x") == "200 echo x" })

	for i, name := range []string{"own stream", "ADS"} {
		t.Run("clusters by "+name, func(t *testing.T) { clustersOnDemand(asker{t}, s, at[i], origin, "i"+fmt.Sprint(i)) })
	}
	t.Run("virtual hosts", func(t *testing.T) { hostsOnDemand(asker{t}, s, at[2]) })
	t.Run("TCP", func(t *testing.T) {
		a := asker{t}
		if d := took(func() { a.ask(at[4], "/", "x: y", "x") }); d < 900*time.Millisecond {
			t.Errorf("silence took %s", d)
		}
		s.set(t, demandCluster("raw", origin), "raw")
		a.expect("200 echo x", at[4], "/", "x: y", "x")
		a.expect("200 echo y", at[4], "/", "x: y", "y")
	})
	t.Run("tables of scopes", func(t *testing.T) { tablesOnDemand(asker{t}, s, at[3]) })
}

// expect asks and compares.
func (a asker) expect(want, at, path, header, body string) {
	a.t.Helper()
	if got := a.ask(at, path, header, body); got != want {
		a.t.Errorf("%s %s: %q, want %q", path, header, got, want)
	}
}

func clustersOnDemand(a asker, s *askedServer, at, origin, prefix string) {
	t := a.t
	name := func(n string) string { return prefix + n }
	s.set(t, demandCluster(name("a"), origin), name("a"))
	a.expect("200 echo body", at, "/", "x-cluster: "+name("a"), "body")
	a.expect("200 echo body", at, "/", "x-cluster: "+name("a"), "body")
	if n := s.count("Cluster " + name("a")); n != 1 {
		t.Errorf("asked for %d times", n)
	}
	// Those that want the same wait together.
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { a.expect("200 echo x", at, "/", "x-cluster: "+name("b"), "x") })
	}
	until(t, "the question", func() bool { return s.count("Cluster "+name("b")) == 1 })
	s.set(t, demandCluster(name("b"), origin), name("b"))
	all.Wait()
	// What is not there costs what it costs to hear so; silence costs its time.
	s.mu.Lock()
	s.none[clusterURL+" "+name("none")] = true
	s.mu.Unlock()
	if d := took(func() { a.expect("503 ", at, "/", "x-cluster: "+name("none"), "x") }); d > 900*time.Millisecond {
		t.Errorf("none took %s", d)
	}
	if d := took(func() { a.expect("503 ", at, "/", "x-cluster: "+name("silent"), "x") }); d < 900*time.Millisecond {
		t.Errorf("silence took %s", d)
	}
	until(t, "the end of that", func() bool { return s.wasDropped("Cluster " + name("silent")) })
	if d := took(func() { a.expect("503 ", at, "/never", "x-cluster: "+name("never"), "x") }); d > 900*time.Millisecond || s.count("Cluster "+name("never")) > 0 {
		t.Errorf("a route without: took %s", d)
	}
	s.set(t, demandCluster(name("c"), origin), name("c"))
	a.expect("200 echo x", at, "/named", "x: y", "x")
	s.set(t, demandCluster(name("d"), origin), name("d"))
	a.expect("200 echo x", at, "/own", "x-cluster: "+name("d"), "x")
	// What came goes, and comes again when it is wanted.
	s.remove(clusterURL, name("a"))
	until(t, "the removal", func() bool { return a.ask(at, "/never", "x-cluster: "+name("a"), "x") == "503 " })
	s.set(t, demandCluster(name("a"), origin), name("a"))
	a.expect("200 echo y", at, "/", "x-cluster: "+name("a"), "y")
	// What is no good is refused, and the request goes on.
	s.set(t, strings.Replace(demandCluster(name("bad"), origin), "  load_assignment", "  type: EDS\n  load_assignment", 1), name("bad"))
	a.expect("503 ", at, "/", "x-cluster: "+name("bad"), "x")
	until(t, "the refusal", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.ContainsFunc(s.refusals, func(text string) bool { return strings.Contains(text, name("bad")) })
	})
}

func hostsOnDemand(a asker, s *askedServer, at string) {
	t := a.t
	s.set(t, demandHost("one", "one.example", "first"), "t/one", "t/one.example")
	a.expect("200 first", at, "/", "host: one.example", "x")
	s.set(t, demandHost("one", "one.example", "second"), "t/one", "t/one.example")
	until(t, "the change", func() bool { return a.ask(at, "/", "host: one.example", "x") == "200 second" })
	a.expect("200 echo x", at, "/", "host: static.example", "x")
	if n := s.count("VirtualHost t/one.example"); n != 1 {
		t.Errorf("asked for %d times", n)
	}
	// A virtual host with a domain that another one has is left out.
	s.set(t, demandHost("twin", "one.example", "twin"), "t/twin", "t/twin.example")
	a.expect("404 ", at, "/", "host: twin.example", "x")
	a.expect("200 second", at, "/", "host: one.example", "x")
	s.mu.Lock()
	s.none[hostURL+" t/none.example"] = true
	s.mu.Unlock()
	if d := took(func() { a.expect("404 ", at, "/", "host: none.example", "x") }); d > 900*time.Millisecond {
		t.Errorf("none took %s", d)
	}
	if d := took(func() { a.expect("404 ", at, "/", "host: silent.example", "x") }); d < 900*time.Millisecond {
		t.Errorf("silence took %s", d)
	}
	until(t, "the end of that", func() bool { return s.wasDropped("VirtualHost t/silent.example") })
	s.remove(hostURL, "t/twin", "t/twin.example")
	s.remove(hostURL, "t/one", "t/one.example")
	until(t, "the removal", func() bool { return a.ask(at, "/", "host: one.example", "x") == "404 " })
	s.set(t, demandHost("one", "one.example", "third"), "t/one", "t/one.example")
	a.expect("200 third", at, "/", "host: one.example", "x")
}

func tablesOnDemand(a asker, s *askedServer, at string) {
	t := a.t
	a.expect("404 ", at, "/", "x-scope: none", "x")
	if n := s.count("RouteConfiguration late"); n != 0 {
		t.Errorf("asked for %d times before it was wanted", n)
	}
	s.set(t, strings.ReplaceAll(strings.ReplaceAll(demandTable, "name: t\n", "name: late\n"), "static.example", `"*"`), "late")
	a.expect("200 echo x", at, "/", "x-scope: late", "x")
	a.expect("200 echo x", at, "/", "x-scope: late", "x")
	if n := s.count("RouteConfiguration late"); n != 1 {
		t.Errorf("asked for %d times", n)
	}
}
