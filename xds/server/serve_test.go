package server

import (
	"context"
	"net"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secret "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

// everyone puts all clients into one group.
func everyone(*core.Node, bool) (string, error) { return "shop", nil }

// serve starts a server and gives a connection to it.
func serve(t *testing.T, o Options, d ...grpc.DialOption) (*Server, *grpc.ClientConn) {
	t.Helper()
	s := New(o)
	l := bufconn.Listen(1 << 20)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	if len(d) == 0 {
		d = append(d, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	d = append(d, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	conn, err := grpc.NewClient("passthrough:///in-process", d...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close() // may have ended before
		s.Stop(time.Second)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, conn
}

// bundle is resources by type:name=content words.
func bundle(t *testing.T, words ...string) *Bundle {
	t.Helper()
	b, err := parseBundle(words)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func node(id string) *core.Node { return &core.Node{Id: id, UserAgentName: "test"} }

func TestServesBothProtocolsAndTypesOfTheirOwn(t *testing.T) {
	s, conn := serve(t, Options{Select: everyone})
	s.Publish("shop", bundle(t, "cluster:a=1", "endpoint:a=1", "runtime:r=1"))
	ctx := t.Context()

	ads, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := ads.Send(&discovery.DeltaDiscoveryRequest{Node: node("a"), TypeUrl: resource.ClusterType}); err != nil {
		t.Fatal(err)
	}
	got, err := ads.Recv()
	if err != nil || len(got.GetResources()) != 1 || got.GetResources()[0].GetName() != "a" {
		t.Fatal(got, err)
	}

	sds, err := secret.NewSecretDiscoveryServiceClient(conn).StreamSecrets(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := sds.Send(&discovery.DiscoveryRequest{Node: node("a"), ResourceNames: []string{"none"}}); err != nil {
		t.Fatal(err)
	}
	if got, err := sds.Recv(); err != nil || len(got.GetResources()) != 0 || got.GetTypeUrl() != resource.SecretType {
		t.Fatal(got, err)
	}
}

func TestStopTellsClientsToGo(t *testing.T) {
	s, conn := serve(t, Options{Select: everyone})
	ads, err := discovery.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := ads.Send(&discovery.DiscoveryRequest{Node: node("a"), TypeUrl: resource.ClusterType}); err != nil {
		t.Fatal(err)
	}
	s.Publish("shop", bundle(t, "cluster:a=1"))
	if _, err := ads.Recv(); err != nil {
		t.Fatal(err)
	}
	s.Stop(time.Second)
	if _, err := ads.Recv(); status.Code(err) != codes.Unavailable || status.Convert(err).Message() != "the control plane is shutting down" {
		t.Fatal(err)
	}
}

func TestTooManyNewStreamsAreToldWhenToComeBack(t *testing.T) {
	_, conn := serve(t, Options{Select: everyone, Limits: Limits{StreamRate: 0.01, StreamBurst: 1, StreamWait: time.Second}})
	client := discovery.NewAggregatedDiscoveryServiceClient(conn)
	first, err := client.StreamAggregatedResources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Send(&discovery.DiscoveryRequest{TypeUrl: resource.ClusterType}); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Fatal(err) // it was let in, and has no node
	}
	second, err := client.StreamAggregatedResources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = second.Recv()
	if status.Code(err) != codes.Unavailable {
		t.Fatal(err)
	}
	hint, ok := status.Convert(err).Details()[0].(*errdetails.RetryInfo)
	if wait := hint.GetRetryDelay().AsDuration(); !ok || wait < 90*time.Second || wait > 100*time.Second {
		t.Fatal(hint)
	}
}
