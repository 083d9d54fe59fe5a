package conformance

// grpc-go's own xDS client, as a foreign client of a control plane.

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
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

// TestGRPCClientFollowsControlPlane: grpc-go asks attache-control where a
// service is, keeps each user on one server by ring hash, and follows a change.
// Envoy's ring has about 1,024 points whatever the number of servers: with a
// fourth the other three have fewer each, which moves a tenth of the users
// between servers that stay, besides the quarter that the fourth gets.
func TestGRPCClientFollowsControlPlane(t *testing.T) {
	const users = 300
	services, control := t.TempDir()+"/services.yaml", freeAddr(t)
	var instances []string
	for _, name := range []string{"a", "b", "c"} {
		instances = append(instances, fmt.Sprintf("{id: %s, address: %q}", name, startGreeter(t, name)))
	}
	say := func() {
		t.Helper()
		text := "services: {greeter: [" + strings.Join(instances, ", ") + "]}"
		if err := os.WriteFile(services+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(services+".new", services); err != nil {
			t.Fatal(err)
		}
	}
	say()
	config := write(t, fmt.Sprintf(`
server: {address: "%s"}
sources: {file: {kind: file, path: %s}}
ambassadors:
- name: apps
  ports:
  - name: greeter
    protocol: grpc
    service: file://greeter
    sharding: {policy: ring_hash, key: "header:x-user"}
`, control, services))
	launch(t, program(t, "./cmd/attache-control"), "-c", config, "--status-address", "off").serving("tcp", control)
	client := dialXDS(t, control, "greeter")

	before := servedBy(t, client, users)
	if again := servedBy(t, client, users); !slices.Equal(before, again) {
		t.Errorf("users move although nothing changed")
	}
	for _, name := range []string{"a", "b", "c"} {
		if !slices.Contains(before, name) {
			t.Errorf("nobody is served by %s", name)
		}
	}

	instances = append(instances, fmt.Sprintf("{id: d, address: %q}", startGreeter(t, "d")))
	say()
	changed, after := time.Now(), []string(nil)
	until(t, "d serves some", func() bool {
		after = servedBy(t, client, users)
		return slices.Contains(after, "d")
	})
	t.Logf("d serves after %v", time.Since(changed).Round(time.Millisecond))
	after = servedBy(t, client, users) // the last round may have begun before the change
	moved, between := 0, 0
	for u := range after {
		if after[u] == before[u] {
			continue
		}
		moved++
		if after[u] != "d" {
			between++
		}
	}
	t.Logf("%d of %d users moved, %d of them between servers that stay", moved, users, between)
	if moved > users/2 || between > users/5 {
		t.Errorf("%d of %d users moved, %d of them between servers that stay", moved, users, between)
	}
}
