package ambassador

// Clusters: how the instances of a service are picked and asked.

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	upstreamv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func (p *Port) cluster(t *target, client Client) *clusterv3.Cluster {
	c := &clusterv3.Cluster{
		Name:                 t.name,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{EdsConfig: aggregated(), ServiceName: t.use.String()},
		ConnectTimeout:       durationpb.New(p.Timeouts.Connect),
		CircuitBreakers:      p.breakers(),
		OutlierDetection:     p.outlierDetection(),
		HealthChecks:         p.healthChecks(),
		TransportSocket:      p.transportSocket(t.use.Service),
	}
	if p.reports && client != Envoy { // Envoy reports as its bootstrap says
		c.LrsServer = &corev3.ConfigSource{
			ConfigSourceSpecifier: &corev3.ConfigSource_Self{Self: &corev3.SelfConfigSource{}}, ResourceApiVersion: corev3.ApiVersion_V3,
		}
	}
	p.balance(c)
	if client != GRPC && (t.http2 || p.Protocol == ProtocolGRPC && !t.http1) {
		c.TypedExtensionProtocolOptions = map[string]*anypb.Any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packed(&upstreamv3.HttpProtocolOptions{
				UpstreamProtocolOptions: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_{
					ExplicitHttpConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig{
						ProtocolConfig: &upstreamv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: http2()},
					},
				},
			}),
		}
	}
	return c
}

func (p *Port) breakers() *clusterv3.CircuitBreakers {
	if p.Limits == (Limits{}) {
		return nil
	}
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections:     positive(p.Limits.Connections),
		MaxPendingRequests: positive(p.Limits.Pending),
		MaxRequests:        positive(p.Limits.Requests),
	}}}
}

func (p *Port) outlierDetection() *clusterv3.OutlierDetection {
	o := p.Outlier
	if o == nil {
		return nil
	}
	return &clusterv3.OutlierDetection{
		Consecutive_5Xx:    wrapperspb.UInt32(o.Consecutive),
		Interval:           durationpb.New(o.Interval),
		BaseEjectionTime:   durationpb.New(o.Ejection),
		MaxEjectionPercent: wrapperspb.UInt32(o.MaxPercent),
	}
}

func (p *Port) healthChecks() []*corev3.HealthCheck {
	h := p.HealthChecks
	if h == nil {
		return nil
	}
	check := &corev3.HealthCheck{
		Interval: durationpb.New(h.Interval), Timeout: durationpb.New(h.Timeout),
		UnhealthyThreshold: wrapperspb.UInt32(h.Unhealthy), HealthyThreshold: wrapperspb.UInt32(h.Healthy),
	}
	switch {
	case p.Protocol == ProtocolGRPC:
		check.HealthChecker = &corev3.HealthCheck_GrpcHealthCheck_{GrpcHealthCheck: &corev3.HealthCheck_GrpcHealthCheck{}}
	case h.Path != "":
		check.HealthChecker = &corev3.HealthCheck_HttpHealthCheck_{HttpHealthCheck: &corev3.HealthCheck_HttpHealthCheck{
			Path: h.Path, CodecClientType: typev3.CodecClientType_HTTP1,
		}}
	default:
		check.HealthChecker = &corev3.HealthCheck_TcpHealthCheck_{TcpHealthCheck: &corev3.HealthCheck_TcpHealthCheck{}}
	}
	return []*corev3.HealthCheck{check}
}
