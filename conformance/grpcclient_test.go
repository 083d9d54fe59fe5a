package conformance

// grpc-go's own xDS client, as a foreign client of a control plane.

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/xds"
)

// greeter is a gRPC server that says its name in a header.
type greeter struct {
	healthpb.UnimplementedHealthServer
	name string
}

func (g greeter) Check(ctx context.Context, _ *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, grpc.SetHeader(ctx, metadata.Pairs("served-by", g.name))
}

// startGreeter serves until the test ends; its address.
func startGreeter(t *testing.T, name string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, ended := grpc.NewServer(), make(chan struct{})
	healthpb.RegisterHealthServer(s, greeter{name: name})
	go func() {
		_ = s.Serve(l)
		close(ended)
	}()
	t.Cleanup(func() {
		s.Stop()
		<-ended
	})
	return l.Addr().String()
}

// dialXDS is a grpc-go client that asks the control plane where "xds:///name"
// is.
func dialXDS(t *testing.T, control, name string) healthpb.HealthClient {
	t.Helper()
	resolver, err := xds.NewXDSResolverWithConfigForTesting(fmt.Appendf(nil,
		`{"xds_servers": [{"server_uri": %q, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
		  "node": {"id": "grpc-client", "cluster": "grpc-clients"}}`, control))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("xds:///"+name, grpc.WithResolvers(resolver), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return healthpb.NewHealthClient(conn)
}

// servedBy calls once for every user and gives who answered each.
func servedBy(t *testing.T, client healthpb.HealthClient, users int) []string {
	t.Helper()
	by := make([]string, users)
	for u := range by {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		var header metadata.MD
		_, err := client.Check(metadata.AppendToOutgoingContext(ctx, "x-user", fmt.Sprint("user-", u)), &healthpb.HealthCheckRequest{},
			grpc.Header(&header), grpc.WaitForReady(true))
		cancel()
		if err != nil {
			t.Fatalf("user %d: %v", u, err)
		}
		if got := header.Get("served-by"); len(got) == 1 {
			by[u] = got[0]
		}
	}
	return by
}
