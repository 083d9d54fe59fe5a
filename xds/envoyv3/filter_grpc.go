package envoyv3

// The filters for gRPC: grpc_web, grpc_http1_bridge and grpc_http1_reverse_bridge.

import (
	"strings"

	bridgev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_http1_bridge/v3"
	reversev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_http1_reverse_bridge/v3"
	webv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func grpcFilterTables() []table {
	return []table{
		{of: &webv3.GrpcWeb{}},
		{of: &bridgev3.Config{}, honoured: "upgrade_protobuf_to_grpc ignore_query_parameters"},
		{of: &reversev3.FilterConfig{}, honoured: "content_type withhold_grpc_frames response_size_header"},
		{of: &reversev3.FilterConfigPerRoute{}, honoured: "disabled"},
	}
}

// reverseBridge reads the filter for gRPC clients of hosts that speak no gRPC.
func (d *decoder) reverseBridge(p path, m *reversev3.FilterConfig) *config.GRPCReverseBridge {
	if m.GetResponseSizeHeader() != "" {
		d.headerName(p.dot("response_size_header"), m.GetResponseSizeHeader())
	}
	return &config.GRPCReverseBridge{
		ContentType: m.GetContentType(), Withhold: m.GetWithholdGrpcFrames(), SizeHeader: strings.ToLower(m.GetResponseSizeHeader()),
	}
}
