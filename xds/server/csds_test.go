package server

import (
	"errors"
	"strings"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	lrs "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	csds "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/google/go-cmp/cmp"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestCSDS(t *testing.T) {
	nacked := make(chan Answer, 1)
	s, conn := serve(t, Options{Select: everyone, Events: Events{Nacked: func(a Answer) { nacked <- a }}})
	s.Publish("shop", bundle(t, "cluster:a=1", "cluster:b=1"))
	ads, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(req *discovery.DeltaDiscoveryRequest) {
		t.Helper()
		if err := ads.Send(req); err != nil {
			t.Fatal(err)
		}
	}
	ask(&discovery.DeltaDiscoveryRequest{Node: node("one"), TypeUrl: resource.ClusterType, ResourceNamesSubscribe: []string{"a", "b", "c"}})
	got, err := ads.Recv()
	if err != nil {
		t.Fatal(err)
	}
	ask(&discovery.DeltaDiscoveryRequest{TypeUrl: resource.ClusterType, ResponseNonce: got.GetNonce(), ErrorDetail: &rpc.Status{Message: "a: bad"}})
	<-nacked
	// What it does not name is sent once more.
	if got, err = ads.Recv(); err != nil {
		t.Fatal(err)
	}
	ask(&discovery.DeltaDiscoveryRequest{TypeUrl: resource.ClusterType, ResponseNonce: got.GetNonce()})
	ask(&discovery.DeltaDiscoveryRequest{TypeUrl: resource.RuntimeType, ResourceNamesSubscribe: []string{"r"}})
	if _, err = ads.Recv(); err != nil {
		t.Fatal(err)
	}

	client := csds.NewClientStatusDiscoveryServiceClient(conn)
	resp, err := client.FetchClientStatus(t.Context(), &csds.ClientStatusRequest{NodeMatchers: []*matcher.NodeMatcher{
		{NodeId: &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Prefix{Prefix: "on"}}},
	}})
	if err != nil || len(resp.GetConfig()) != 1 {
		t.Fatal(resp, err)
	}
	var lines []string
	for _, g := range resp.GetConfig()[0].GetGenericXdsConfigs() {
		name, content := "", "-"
		if g.GetXdsConfig() != nil {
			name, content = nameAndContent(g.GetXdsConfig())
			if name != g.GetName() {
				t.Error(g)
			}
		}
		lines = append(lines, strings.Join([]string{
			shortType(g.GetTypeUrl()), g.GetName(), content, g.GetClientStatus().String(), g.GetConfigStatus().String(), g.GetErrorState().GetDetails(),
		}, " "))
	}
	want := []string{
		"runtime r - DOES_NOT_EXIST SYNCED ", "cluster a - NACKED ERROR bad",
		"cluster b 1 ACKED SYNCED ", "cluster c - DOES_NOT_EXIST SYNCED ",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if resp, err := client.FetchClientStatus(t.Context(), &csds.ClientStatusRequest{NodeMatchers: []*matcher.NodeMatcher{
		{NodeId: &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Exact{Exact: "two"}}},
	}}); err != nil || len(resp.GetConfig()) != 0 {
		t.Fatal(resp, err)
	}
}

func TestCSDSIsForWhoMayInspect(t *testing.T) {
	_, conn := serve(t, Options{Select: everyone, Inspect: func(string) error { return errors.New("no") }})
	_, err := csds.NewClientStatusDiscoveryServiceClient(conn).FetchClientStatus(t.Context(), &csds.ClientStatusRequest{})
	if status.Code(err) != codes.PermissionDenied {
		t.Fatal(err)
	}
}

func TestLRS(t *testing.T) {
	reports := make(chan string, 1)
	_, conn := serve(t, Options{Select: everyone, Load: func(node *core.Node, stats []*endpoint.ClusterStats) {
		reports <- node.GetId() + " " + stats[0].GetClusterName()
	}})
	str, err := lrs.NewLoadReportingServiceClient(conn).StreamLoadStats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := str.Send(&lrs.LoadStatsRequest{Node: node("one")}); err != nil {
		t.Fatal(err)
	}
	got, err := str.Recv()
	if err != nil || !got.GetSendAllClusters() || got.GetLoadReportingInterval().AsDuration() != loadInterval {
		t.Fatal(got, err)
	}
	if err := str.Send(&lrs.LoadStatsRequest{ClusterStats: []*endpoint.ClusterStats{{ClusterName: "a"}}}); err != nil {
		t.Fatal(err)
	}
	if got := <-reports; got != "one a" {
		t.Fatal(got)
	}
}
