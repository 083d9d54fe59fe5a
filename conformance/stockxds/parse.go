package stockxds

import (
	"testing"

	// What the resources of tests are made of, for protojson to know.
	_ "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"
)

// Parse reads a YAML list of resources, each with its "@type" and at most
// protojson's own shorthand.
func Parse(t testing.TB, text string) map[resource.Type][]types.Resource {
	t.Helper()
	var list []any
	if err := yaml.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	found := map[resource.Type][]types.Resource{}
	for _, item := range list {
		plain, err := yaml.Marshal(item)
		if err != nil {
			t.Fatal(err)
		}
		body, err := yaml.YAMLToJSON(plain)
		if err != nil {
			t.Fatal(err)
		}
		var envelope anypb.Any
		if err := protojson.Unmarshal(body, &envelope); err != nil {
			t.Fatalf("%v in\n%s", err, plain)
		}
		message, err := envelope.UnmarshalNew()
		if err != nil {
			t.Fatal(err)
		}
		found[envelope.GetTypeUrl()] = append(found[envelope.GetTypeUrl()], message)
	}
	return found
}
