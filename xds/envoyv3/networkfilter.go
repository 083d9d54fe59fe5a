package envoyv3

// Network filters: what connections pass before what serves them, and the two that
// serve them without a host. The others are in http.go, tcp.go and memcached.go.

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	connlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/connection_limit/v3"
	directv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/direct_response/v3"
	echov3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/echo/v3"
	netlimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/local_ratelimit/v3"
	sniclusterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/sni_cluster/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
)

func networkFilterExtensions() []extension {
	return []extension{
		{networkFilter, "envoy.filters.network.connection_limit", func() proto.Message { return &connlimitv3.ConnectionLimit{} }},
		{networkFilter, "envoy.filters.network.direct_response", func() proto.Message { return &directv3.Config{} }},
		{networkFilter, "envoy.filters.network.echo", func() proto.Message { return &echov3.Echo{} }},
		{networkFilter, "envoy.filters.network.local_ratelimit", func() proto.Message { return &netlimitv3.LocalRateLimit{} }},
		{networkFilter, "envoy.filters.network.sni_cluster", func() proto.Message { return &sniclusterv3.SniCluster{} }},
	}
}

func networkFilterTables() []table {
	return []table{
		{of: &connlimitv3.ConnectionLimit{}, honoured: "stat_prefix max_connections delay runtime_enabled", strict: true},
		{of: &directv3.Config{}, honoured: "response"},
		{of: &echov3.Echo{}},
		{of: &netlimitv3.LocalRateLimit{}, honoured: "stat_prefix token_bucket runtime_enabled share_key", strict: true},
		{of: &sniclusterv3.SniCluster{}},
	}
}

// networkFilter reads the configuration of a filter that does not serve connections.
func (d *decoder) networkFilter(p path, m proto.Message) any {
	switch m := m.(type) {
	case *connlimitv3.ConnectionLimit:
		return d.connectionLimit(p, m)
	case *netlimitv3.LocalRateLimit:
		return d.connectionRate(p, m)
	case *sniclusterv3.SniCluster:
		return &config.SNICluster{}
	}
	return nil
}

func (d *decoder) connectionLimit(p path, m *connlimitv3.ConnectionLimit) *config.ConnectionLimit {
	d.required(p.dot("stat_prefix"), m.GetStatPrefix())
	l := &config.ConnectionLimit{
		StatPrefix: m.GetStatPrefix(), Max: m.GetMaxConnections().GetValue(), Off: d.switchedOff(m.GetRuntimeEnabled()),
		Delay: d.duration(p.dot("delay"), m.GetDelay(), 0),
	}
	if l.Max == 0 {
		d.refuse(p.dot("max_connections"), "value must be greater than or equal to 1")
	}
	return l
}

func (d *decoder) connectionRate(p path, m *netlimitv3.LocalRateLimit) *config.ConnectionRateLimit {
	d.required(p.dot("stat_prefix"), m.GetStatPrefix())
	return &config.ConnectionRateLimit{
		StatPrefix: m.GetStatPrefix(), Bucket: d.tokenBucket(p.dot("token_bucket"), m.GetTokenBucket()),
		ShareKey: m.GetShareKey(), Off: d.switchedOff(m.GetRuntimeEnabled()),
	}
}

// tokenBucket reads a bucket that has to be there.
func (d *decoder) tokenBucket(p path, m *typev3.TokenBucket) (b config.TokenBucket) {
	if m == nil {
		d.refuse(p, "value is required")
		return b
	}
	b = config.TokenBucket{
		Max: m.GetMaxTokens(), Tokens: orUint32(m.GetTokensPerFill(), 1),
		Interval: d.positive(p.dot("fill_interval"), m.GetFillInterval(), 0),
	}
	if b.Interval < minFill {
		d.refuse(p.dot("fill_interval"), "local rate limit token bucket fill timer must be >= 50ms")
	}
	return b
}

// switchedOff reports whether a flag, which is on unless it says otherwise, is off.
func (d *decoder) switchedOff(m *corev3.RuntimeFeatureFlag) bool {
	if b, ok := d.opts.Runtime[m.GetRuntimeKey()].GetKind().(*structpb.Value_BoolValue); ok {
		return !b.BoolValue
	}
	return !orBool(m.GetDefaultValue(), true)
}
