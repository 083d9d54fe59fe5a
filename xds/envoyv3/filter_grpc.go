package envoyv3

// The filters for gRPC: grpc_web and grpc_http1_bridge.

import (
	bridgev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_http1_bridge/v3"
	webv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"
)

func grpcFilterTables() []table {
	return []table{
		{of: &webv3.GrpcWeb{}},
		{of: &bridgev3.Config{}, honoured: "upgrade_protobuf_to_grpc ignore_query_parameters"},
	}
}
