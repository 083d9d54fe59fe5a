package envoyv3

// The filter that counts gRPC's messages and statuses: grpc_stats.

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	grpcstatsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_stats/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func grpcStatsTables() []table {
	return []table{
		{
			of: &grpcstatsv3.FilterConfig{},
			honoured: "emit_filter_state individual_method_stats_allowlist stats_for_all_methods " +
				"replace_dots_in_grpc_service_name",
			unbuilt: notes{"enable_upstream_stats": "no histograms of times are kept; an access log has them for each request"},
		},
		{of: &corev3.GrpcMethodList{}, honoured: "services"},
		{of: &corev3.GrpcMethodList_Service{}, honoured: "name method_names"},
	}
}

func (d *decoder) grpcStats(p path, m *grpcstatsv3.FilterConfig) *config.GRPCStats {
	s := &config.GRPCStats{
		State: m.GetEmitFilterState(), All: m.GetStatsForAllMethods().GetValue(), ReplaceDots: m.GetReplaceDotsInGrpcServiceName(),
	}
	for i, service := range m.GetIndividualMethodStatsAllowlist().GetServices() {
		ps := p.dot("individual_method_stats_allowlist").dot("services").at(i)
		d.required(ps.dot("name"), service.GetName())
		if len(service.GetMethodNames()) == 0 {
			d.refuse(ps.dot("method_names"), "value must contain at least 1 item(s)")
		}
		for _, method := range service.GetMethodNames() {
			s.Methods = append(s.Methods, config.GRPCMethod{Service: service.GetName(), Method: method})
		}
	}
	return s
}
