package ambassador

// Load-balancing policies of clusters: Envoy's by lb_policy, which every client
// knows, ours as load_balancing_policy.

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	ketamav1 "github.com/attache-mesh/attache/xds/api/attache/load_balancing_policies/ketama/v1"
	libmemcachedv1 "github.com/attache-mesh/attache/xds/api/attache/load_balancing_policies/libmemcached/v1"
	rendezvousv1 "github.com/attache-mesh/attache/xds/api/attache/load_balancing_policies/rendezvous/v1"
	"github.com/attache-mesh/attache/xds/server/plan"
)

func (p *Port) balance(c *clusterv3.Cluster) {
	s := p.Sharding
	if s == nil {
		c.LbPolicy = map[string]clusterv3.Cluster_LbPolicy{
			"round_robin":   clusterv3.Cluster_ROUND_ROBIN,
			"least_request": clusterv3.Cluster_LEAST_REQUEST,
			"random":        clusterv3.Cluster_RANDOM,
		}[p.Balance]
		return
	}
	factor := positive(s.BalanceFactor)
	switch plan.Policy(s.Policy) {
	case plan.RingHash:
		c.LbPolicy = clusterv3.Cluster_RING_HASH
		c.LbConfig = &clusterv3.Cluster_RingHashLbConfig_{RingHashLbConfig: &clusterv3.Cluster_RingHashLbConfig{
			MinimumRingSize: positive64(s.MinRing), MaximumRingSize: positive64(s.MaxRing),
		}}
		c.CommonLbConfig = bounded(factor)
	case plan.Maglev:
		c.LbPolicy = clusterv3.Cluster_MAGLEV
		c.LbConfig = &clusterv3.Cluster_MaglevLbConfig_{MaglevLbConfig: &clusterv3.Cluster_MaglevLbConfig{
			TableSize: positive64(s.TableSize),
		}}
		c.CommonLbConfig = bounded(factor)
	case plan.Rendezvous:
		c.LoadBalancingPolicy = ours("rendezvous", &rendezvousv1.Rendezvous{HashBalanceFactor: factor})
	case plan.Ketama:
		c.LoadBalancingPolicy = ours("ketama", &ketamav1.Ketama{HashBalanceFactor: factor})
	case plan.Libmemcached:
		c.LoadBalancingPolicy = ours("libmemcached", &libmemcachedv1.Libmemcached{HashBalanceFactor: factor})
	}
}

func bounded(factor *wrapperspb.UInt32Value) *clusterv3.Cluster_CommonLbConfig {
	if factor == nil {
		return nil
	}
	return &clusterv3.Cluster_CommonLbConfig{ConsistentHashingLbConfig: &clusterv3.Cluster_CommonLbConfig_ConsistentHashingLbConfig{
		HashBalanceFactor: factor,
	}}
}

func ours(name string, m proto.Message) *clusterv3.LoadBalancingPolicy {
	return &clusterv3.LoadBalancingPolicy{Policies: []*clusterv3.LoadBalancingPolicy_Policy{{
		TypedExtensionConfig: &corev3.TypedExtensionConfig{Name: "attache.load_balancing_policies." + name, TypedConfig: packed(m)},
	}}}
}

func positive64(n uint64) *wrapperspb.UInt64Value {
	if n == 0 {
		return nil
	}
	return wrapperspb.UInt64(n)
}
