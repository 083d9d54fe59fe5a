package conformance

// attache beside grpc-go's own xDS client: one control plane sends both the same
// routes, clusters and endpoints, both call the same servers, and both must choose
// alike (gRFC A28, A31, A32, A42, A44, A50).
//
//	                 ┌──────── RDS, CDS, EDS ────────┐
//	                 ▼                               ▼
//	test ─ xds:///side ─ grpc-go ─▶ servers ◀─ attache ◀─ grpc-go without xDS ─ test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/xds"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/attache-mesh/attache/conformance/stockxds"
)

// sideServers are gRPC servers that answer any method as the call's metadata asks:
//
//	fail: N CODE    the first N attempts of the call end with CODE
//	broken: NAME    the server called so ends it with UNAVAILABLE
//	hold: ID        the call waits until ID is released, or it is given up
//
// Each says its name in the trailer served-by.
type sideServers struct {
	addrs map[string]string
	mu    sync.Mutex
	tries map[string]int // by the metadata call
	held  map[string]chan struct{}
	inner int // calls that are held
}

func startSideServers(t *testing.T, names ...string) *sideServers {
	s := &sideServers{addrs: map[string]string{}, tries: map[string]int{}, held: map[string]chan struct{}{}}
	for _, name := range names {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error { return s.serve(name, stream) }))
		ended := make(chan struct{})
		go func() {
			_ = server.Serve(l)
			close(ended)
		}()
		t.Cleanup(func() {
			server.Stop()
			<-ended
		})
		s.addrs[name] = l.Addr().String()
	}
	return s
}

// mute adds a server that answers nothing and, unlike gRPC's, does not look at how much
// time it is given: the one that gives it must be the first to be out of patience.
func (s *sideServers) mute(t *testing.T, name string) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.try(r.Header.Get("call"))
		<-r.Context().Done()
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	s.addrs[name] = server.Listener.Addr().String()
}

func (s *sideServers) serve(name string, stream grpc.ServerStream) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	one := func(key string) string { return strings.Join(md.Get(key), "") }
	stream.SetTrailer(metadata.Pairs("served-by", name))
	try := s.try(one("call"))
	if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	if n, code, ok := strings.Cut(one("fail"), " "); ok {
		times, _ := strconv.Atoi(n)
		number, _ := strconv.Atoi(code)
		if try <= times {
			return status.Error(codes.Code(number), "as asked")
		}
	}
	if one("broken") == name {
		return status.Error(codes.Unavailable, "broken")
	}
	if id := one("hold"); id != "" {
		s.count(1)
		defer s.count(-1)
		select {
		case <-s.gate(id):
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
	return stream.SendMsg(&emptypb.Empty{})
}

// try counts an attempt of a call.
func (s *sideServers) try(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries[call]++
	return s.tries[call]
}

func (s *sideServers) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inner += n
}

func (s *sideServers) holding() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inner
}

func (s *sideServers) gate(id string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[id] == nil {
		s.held[id] = make(chan struct{})
	}
	return s.held[id]
}

func (s *sideServers) release(id string) { close(s.gate(id)) }

// endpoints is the assignment of a cluster; each host is "name", or "name weight
// priority health".
func (s *sideServers) endpoints(cluster string, hosts ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- \"@type\": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment\n  cluster_name: %s\n  endpoints:\n", cluster)
	last := ""
	for _, host := range hosts {
		f := append(strings.Fields(host), "1", "0", "HEALTHY")
		if len(f) > 4 {
			f = strings.Fields(host)
		}
		if f[2] != last { // one locality for each priority
			fmt.Fprintf(&b, "  - locality: {region: r%s}\n    priority: %s\n    load_balancing_weight: 1\n    lb_endpoints:\n", f[2], f[2])
			last = f[2]
		}
		_, port, _ := strings.Cut(s.addrs[f[0]], ":")
		fmt.Fprintf(&b, "    - {load_balancing_weight: %s, health_status: %s, endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %s}}}}\n", f[1], f[3], port)
	}
	return b.String()
}

// side is one way to the servers.
type side struct {
	name    string
	conn    *grpc.ClientConn
	servers *sideServers
	calls   int
}

// answer is what came of a call.
type answer struct {
	by    string // the server's name, or ""
	code  codes.Code
	tries int
}

// call calls a method; md are pairs.
func (s *side) call(method string, md ...string) answer {
	s.calls++
	id := fmt.Sprint(s.name, s.calls)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, append(slices.Clone(md), "call", id)...)
	var trailer metadata.MD
	err := s.conn.Invoke(ctx, "/side.Test/"+method, &emptypb.Empty{}, &emptypb.Empty{}, grpc.Trailer(&trailer))
	s.servers.mu.Lock()
	defer s.servers.mu.Unlock()
	return answer{by: strings.Join(trailer.Get("served-by"), ","), code: status.Code(err), tries: s.servers.tries[id]}
}

// startSides sends both the resources.
func startSides(t *testing.T, servers *sideServers, resources string) []*side {
	t.Helper()
	control := stockxds.StartServer(t, false)
	control.Set("1", stockxds.Parse(t, resources))

	resolver, err := xds.NewXDSResolverWithConfigForTesting(fmt.Appendf(nil,
		`{"xds_servers": [{"server_uri": %q, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
		  "node": {"id": "beside", "cluster": "tests"}}`, control.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	plain := grpc.WithTransportCredentials(insecure.NewCredentials())
	own, err := grpc.NewClient("xds:///side", grpc.WithResolvers(resolver), plain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Close() })

	addr := freeAddr(t)
	launch(t, program(t, "./cmd/attache"), "--concurrency", "1", "-c", write(t, sideBootstrap(addr, freeAddr(t), control.Addr()))).serving("tcp", addr)
	through, err := grpc.NewClient("passthrough:///"+addr, grpc.WithAuthority("side"), plain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { through.Close() })
	return []*side{{name: "grpc-go", conn: own, servers: servers}, {name: "attache", conn: through, servers: servers}}
}

// sideBootstrap has a listener of its own, as grpc-go's has no address; all else comes
// by ADS.
func sideBootstrap(addr, admin, control string) string {
	_, port, _ := strings.Cut(addr, ":")
	text := ways[0].bootstrap(admin, control)
	text = strings.Replace(text, "  lds_config: "+ways[0].source()+"\n", "", 1)
	return strings.Replace(text, "static_resources:\n", fmt.Sprintf(`static_resources:
  listeners:
  - name: in
    address: {socket_address: {address: 127.0.0.1, port_value: %s}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          rds: {route_config_name: routes, config_source: {ads: {}, resource_api_version: V3}}
          http_filters: [{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
`, port), 1)
}
