package loadreport

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	loadv3 "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/client/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type server struct {
	loadv3.UnimplementedLoadReportingServiceServer
	ask  *loadv3.LoadStatsResponse
	anew *loadv3.LoadStatsResponse // after the first report, unless nil
	said chan *loadv3.LoadStatsRequest
}

func (s *server) StreamLoadStats(str loadv3.LoadReportingService_StreamLoadStatsServer) error {
	for n := 0; ; n++ {
		m, err := str.Recv()
		if err != nil {
			return err
		}
		ask := s.ask
		if n == 1 {
			ask = s.anew
		}
		if n < 2 && ask != nil {
			if err := str.Send(ask); err != nil {
				return err
			}
		}
		s.said <- m
	}
}

// What was counted between two reports is told, by locality; what was counted
// before the server asked is not, nor are clusters that it did not ask for.
func TestReport(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{said: make(chan *loadv3.LoadStatsRequest, 10), ask: &loadv3.LoadStatsResponse{
		Clusters: []string{"a"}, LoadReportingInterval: durationpb.New(time.Millisecond), ReportEndpointGranularity: true,
	}}
	g := grpc.NewServer()
	loadv3.RegisterLoadReportingServiceServer(g, s)
	go func() { _ = g.Serve(l) }()
	defer g.Stop()

	var mu sync.Mutex
	n := uint64(100)
	clusters := func() []Cluster {
		mu.Lock()
		defer mu.Unlock()
		n += 10
		host := func(key, zone string) Host {
			return Host{Key: key, Zone: zone, Issued: n, Success: n - n/10, Error: n / 10, InProgress: 2}
		}
		return []Cluster{
			{Name: "a", Service: "a-in-eds", Dropped: n, Hosts: []Host{host("1", "x"), host("2", "x"), host("3", "y")}},
			{Name: "b", Hosts: []Host{host("1", "x")}},
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Run(ctx, Options{Servers: at(t, l.Addr()), Node: &corev3.Node{Id: "n"}, Clusters: clusters})
	}()
	defer func() {
		cancel()
		<-done
	}()
	if first := <-s.said; first.GetNode().GetId() != "n" || len(first.GetClusterStats()) != 0 {
		t.Errorf("the first request is %v", first)
	}
	r := <-s.said
	if len(r.GetClusterStats()) != 1 {
		t.Fatalf("reported %v", r)
	}
	c := r.GetClusterStats()[0]
	if c.GetClusterName() != "a" || c.GetClusterServiceName() != "a-in-eds" || c.GetTotalDroppedRequests() != 10 || c.GetLoadReportInterval().AsDuration() < minInterval/2 {
		t.Errorf("reported %v", c)
	}
	if len(c.GetUpstreamLocalityStats()) != 2 {
		t.Fatalf("localities %v", c.GetUpstreamLocalityStats())
	}
	x := c.GetUpstreamLocalityStats()[0]
	if x.GetLocality().GetZone() != "x" || x.GetTotalIssuedRequests() != 20 || x.GetTotalSuccessfulRequests() != 18 || x.GetTotalErrorRequests() != 2 ||
		x.GetTotalRequestsInProgress() != 4 || len(x.GetUpstreamEndpointStats()) != 2 {
		t.Errorf("zone x: %v", x)
	}
}

// A server may ask anew on the stream that stands: for every cluster, without
// endpoints, at another interval. Intervals below the least one are the least one.
func TestAskedAnew(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const seldom = 3 * minInterval
	s := &server{
		said: make(chan *loadv3.LoadStatsRequest, 100),
		ask:  &loadv3.LoadStatsResponse{Clusters: []string{"a"}, LoadReportingInterval: durationpb.New(1), ReportEndpointGranularity: true},
		anew: &loadv3.LoadStatsResponse{SendAllClusters: true, LoadReportingInterval: durationpb.New(seldom)},
	}
	g := grpc.NewServer()
	loadv3.RegisterLoadReportingServiceServer(g, s)
	go func() { _ = g.Serve(l) }()
	defer g.Stop()
	n := uint64(0)
	clusters := func() (all []Cluster) {
		n++
		for _, name := range []string{"a", "b"} {
			all = append(all, Cluster{Name: name, Hosts: []Host{{Key: "10.0.0.1:80", Zone: "x", Issued: n, Success: n}}})
		}
		return all
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Run(ctx, Options{Servers: at(t, l.Addr()), Node: &corev3.Node{Id: "n"}, Clusters: clusters})
	}()
	defer func() {
		cancel()
		<-done
	}()
	<-s.said
	r := (<-s.said).GetClusterStats()
	if len(r) != 1 || r[0].GetClusterName() != "a" || len(r[0].GetUpstreamLocalityStats()[0].GetUpstreamEndpointStats()) != 1 {
		t.Fatalf("of cluster a by endpoint: %v", r)
	}
	for r = nil; len(r) != 2; { // one more of the old ones may be on its way
		r = (<-s.said).GetClusterStats()
	}
	for _, c := range r {
		if z := c.GetUpstreamLocalityStats(); len(z) != 1 || len(z[0].GetUpstreamEndpointStats()) != 0 || z[0].GetTotalIssuedRequests() != 1 {
			t.Errorf("of every cluster by locality: %v", c)
		}
		if d := c.GetLoadReportInterval().AsDuration(); d < seldom*9/10 {
			t.Errorf("%s was reported after %v", c.GetClusterName(), d)
		}
	}
}

func at(t *testing.T, a net.Addr) []stream.Server {
	t.Helper()
	all, err := stream.Servers(&config.APISource{Servers: []config.XDSServer{{Cluster: "c"}}},
		map[string]config.ControlPlane{"c": {Name: "c", Addresses: []config.Address{{IP: netip.MustParseAddrPort(a.String())}}}})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A host that begins anew at the same address is counted from nothing.
func TestCountsThatGoBack(t *testing.T) {
	tl := &tally{}
	of := func(n uint64) []Cluster { return []Cluster{{Name: "a", Hosts: []Host{{Key: "1", Issued: n}}}} }
	if got := tl.add(of(50)); got != nil {
		t.Errorf("the first time: %v", got)
	}
	if got := tl.add(of(7)); got[0].GetUpstreamLocalityStats()[0].GetTotalIssuedRequests() != 7 {
		t.Errorf("got %v", got)
	}
	if got := tl.add(of(7)); got != nil {
		t.Errorf("nothing happened, and %v was told", got)
	}
}
