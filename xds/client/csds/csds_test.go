package csds

import (
	"net"
	"testing"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func config() *statusv3.ClientConfig {
	return &statusv3.ClientConfig{Node: &corev3.Node{Id: "n"}, GenericXdsConfigs: []*statusv3.ClientConfig_GenericXdsConfig{{
		Name: "a", ClientStatus: adminv3.ClientResourceStatus_NACKED, XdsConfig: &anypb.Any{TypeUrl: "x"},
		ErrorState: &adminv3.UpdateFailureState{Details: "no", FailedConfiguration: &anypb.Any{TypeUrl: "x"}},
	}}}
}

func TestService(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(config)
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	client := statusv3.NewClientStatusDiscoveryServiceClient(conn)

	r, err := client.FetchClientStatus(t.Context(), &statusv3.ClientStatusRequest{})
	if err != nil || r.GetConfig()[0].GetNode().GetId() != "n" || r.GetConfig()[0].GetGenericXdsConfigs()[0].GetXdsConfig() == nil {
		t.Errorf("fetched %v, %v", r, err)
	}
	stream, err := client.StreamClientStatus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := stream.Send(&statusv3.ClientStatusRequest{ExcludeResourceContents: true}); err != nil {
			t.Fatal(err)
		}
		r, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		x := r.GetConfig()[0].GetGenericXdsConfigs()[0]
		if x.GetXdsConfig() != nil || x.GetErrorState().GetFailedConfiguration() != nil || x.GetErrorState().GetDetails() != "no" {
			t.Errorf("without contents: %v", x)
		}
	}
	_, err = client.FetchClientStatus(t.Context(), &statusv3.ClientStatusRequest{NodeMatchers: nodeMatchers()})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("node matchers: %v", err)
	}
	conn.Close()
	s.Close()
	if err := <-done; err != nil {
		t.Errorf("ended: %v", err)
	}
}

func nodeMatchers() []*matcherv3.NodeMatcher { return []*matcherv3.NodeMatcher{{}} }
