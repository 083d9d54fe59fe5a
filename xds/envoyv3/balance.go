package envoyv3

// Load-balancing policies: lb_policy with its config, or the first policy of
// load_balancing_policy that is known.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"math/big"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	clientv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3"
	providedv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/cluster_provided/v3"
	lbcommonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	leastv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	maglevv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/maglev/v3"
	overridev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/override_host/v3"
	randomv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/random/v3"
	ringv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/ring_hash/v3"
	roundv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	subsetv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/subset/v3"
	wrrv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/wrr_locality/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/proxy/config"
	ketamav1 "github.com/attache-mesh/attache/xds/api/attache/load_balancing_policies/ketama/v1"
	libmemcachedv1 "github.com/attache-mesh/attache/xds/api/attache/load_balancing_policies/libmemcached/v1"
	rendezvousv1 "github.com/attache-mesh/attache/xds/api/attache/load_balancing_policies/rendezvous/v1"
)

// Bounds and defaults of the policies (cluster.proto and the policies' protos).
const (
	defaultMinRing   = 1024
	maxRing          = 8 << 20
	defaultMaglev    = 65537
	maxMaglev        = 5_000_011
	defaultChoices   = 2
	minBalanceFactor = 100
)

// defaultBalance has every default, so that a value does not depend on which
// policy was read.
func defaultBalance() config.Balance {
	return config.Balance{
		MinRing: defaultMinRing, MaxRing: maxRing, MaglevTable: defaultMaglev,
		ChoiceCount: defaultChoices, ActiveBias: 1,
	}
}

func (d *decoder) balance(p path, m *clusterv3.Cluster, c *config.Cluster) {
	c.Balance = defaultBalance()
	if m.GetLoadBalancingPolicy() != nil || m.GetLbPolicy() == clusterv3.Cluster_LOAD_BALANCING_POLICY_CONFIG {
		d.policyList(p, m, c)
		return
	}
	d.legacyBalance(p, m, c)
	common := m.GetCommonLbConfig()
	c.Balance.LocalityWeighted = common.GetLocalityWeightedLbConfig() != nil
	d.oldZone(common.GetZoneAwareLbConfig(), c)
	d.subsets(p.dot("lb_subset_config"), m.GetLbSubsetConfig(), c)
	if h := common.GetConsistentHashingLbConfig(); h != nil {
		p := p.dot("common_lb_config").dot("consistent_hashing_lb_config")
		d.consistent(p, h, &c.Balance)
		if h.GetUseHostnameForHashing() && c.Discovery != config.DiscoveryStrictDNS {
			d.refuse(p.dot("use_hostname_for_hashing"), "Cannot use hostname for consistent hashing loadbalancing for cluster of type: '%s'", clusterTypeName(c.Discovery))
		}
	}
}

func clusterTypeName(from config.Discovery) string {
	return [...]string{"envoy.cluster.static", "envoy.cluster.strict_dns", "envoy.cluster.logical_dns", "envoy.cluster.eds", "envoy.cluster.original_dst", "envoy.clusters.aggregate", "envoy.clusters.dynamic_forward_proxy"}[from]
}

func (d *decoder) legacyBalance(p path, m *clusterv3.Cluster, c *config.Cluster) {
	b := &c.Balance
	wanted := "" // the field that goes with the policy
	switch m.GetLbPolicy() {
	case clusterv3.Cluster_ROUND_ROBIN:
		wanted = "round_robin_lb_config"
		d.slowStart(p.dot(wanted).dot("slow_start_config"), m.GetRoundRobinLbConfig().GetSlowStartConfig(), b)
	case clusterv3.Cluster_LEAST_REQUEST:
		wanted = "least_request_lb_config"
		d.leastRequest(p.dot(wanted), m.GetLeastRequestLbConfig(), b)
		d.slowStart(p.dot(wanted).dot("slow_start_config"), m.GetLeastRequestLbConfig().GetSlowStartConfig(), b)
	case clusterv3.Cluster_RANDOM:
		b.Kind = config.Random
	case clusterv3.Cluster_RING_HASH:
		wanted = "ring_hash_lb_config"
		d.legacyRing(p.dot(wanted), m.GetRingHashLbConfig(), b)
	case clusterv3.Cluster_MAGLEV:
		wanted = "maglev_lb_config"
		d.maglev(p.dot(wanted), m.GetMaglevLbConfig().GetTableSize(), b)
	case clusterv3.Cluster_CLUSTER_PROVIDED:
		wanted = "original_dst_lb_config"
	default:
		d.never(p.dot("lb_policy"), m.GetLbPolicy().String()+": use ROUND_ROBIN, LEAST_REQUEST, RANDOM, RING_HASH, MAGLEV or CLUSTER_PROVIDED")
	}
	if c.Discovery != config.DiscoveryOriginalDst { // which has said so itself
		d.providedBalance(p.dot("lb_policy"), m.GetLbPolicy() == clusterv3.Cluster_CLUSTER_PROVIDED, c)
	}
	d.strayLBConfig(p, m, wanted)
}

// strayLBConfig warns of the configuration of another policy than the chosen
// one, which Envoy ignores.
func (d *decoder) strayLBConfig(p path, m *clusterv3.Cluster, wanted string) {
	r := m.ProtoReflect()
	f := r.WhichOneof(r.Descriptor().Oneofs().ByName("lb_config"))
	if f != nil && string(f.Name()) != wanted {
		d.warn(p.dot(string(f.Name())), "has no effect with lb_policy %s", m.GetLbPolicy())
	}
}

// leastRequestConfig is what Cluster's and the policy's message have in common.
type leastRequestConfig interface {
	GetChoiceCount() *wrapperspb.UInt32Value
}

func (d *decoder) leastRequest(p path, m *clusterv3.Cluster_LeastRequestLbConfig, b *config.Balance) {
	d.choices(p, m, b)
	b.ActiveBias = d.bias(p, d.runtimeDouble(m.GetActiveRequestBias(), 1))
}

func (d *decoder) choices(p path, m leastRequestConfig, b *config.Balance) {
	b.Kind = config.LeastRequest
	b.ChoiceCount = orUint32(m.GetChoiceCount(), defaultChoices)
	if b.ChoiceCount < 2 {
		d.refuse(p.dot("choice_count"), "value must be greater than or equal to 2")
	}
}

// slowStartConfig is what Cluster's and the policies' message have in common.
type slowStartConfig interface {
	GetSlowStartWindow() *durationpb.Duration
	GetAggression() *corev3.RuntimeDouble
	GetMinWeightPercent() *typev3.Percent
}

func (d *decoder) slowStart(p path, m slowStartConfig, b *config.Balance) {
	b.SlowStart = d.duration(p.dot("slow_start_window"), m.GetSlowStartWindow(), 0)
	b.Aggression, b.LeastWeight = 0, 0
	if b.SlowStart == 0 {
		return
	}
	if b.Aggression = d.runtimeDouble(m.GetAggression(), 1); !(b.Aggression > 0) {
		d.refuse(p.dot("aggression"), "must be greater than 0")
	}
	b.LeastWeight = 0.1
	if w := m.GetMinWeightPercent(); w != nil {
		b.LeastWeight = w.GetValue() / 100
		if !(b.LeastWeight >= 0 && b.LeastWeight <= 1) {
			d.refuse(p.dot("min_weight_percent").dot("value"), "value must be inside range [0, 100]")
		}
	}
}

// bias is the exponent of active requests; at least 0.
func (d *decoder) bias(p path, v float64) float64 {
	if !(v >= 0) {
		d.refuse(p.dot("active_request_bias"), "must be at least 0")
	}
	return v
}

func (d *decoder) legacyRing(p path, m *clusterv3.Cluster_RingHashLbConfig, b *config.Balance) {
	if m.GetHashFunction() == clusterv3.Cluster_RingHashLbConfig_MURMUR_HASH_2 {
		b.RingHash = config.RingMurmur2
	}
	d.ring(p, m, b)
}

// ringSizes is what Cluster's and the policy's message have in common.
type ringSizes interface {
	GetMinimumRingSize() *wrapperspb.UInt64Value
	GetMaximumRingSize() *wrapperspb.UInt64Value
}

func (d *decoder) ring(p path, m ringSizes, b *config.Balance) {
	b.Kind = config.RingHashLB
	b.MinRing = orUint64(m.GetMinimumRingSize(), defaultMinRing)
	b.MaxRing = orUint64(m.GetMaximumRingSize(), maxRing)
	d.ringSize(p.dot("minimum_ring_size"), b.MinRing)
	d.ringSize(p.dot("maximum_ring_size"), b.MaxRing)
	if b.MinRing > b.MaxRing {
		d.refuse(p, "ring hash: minimum_ring_size (%d) > maximum_ring_size (%d)", b.MinRing, b.MaxRing)
	}
}

func (d *decoder) ringSize(p path, v uint64) {
	if v > maxRing {
		d.refuse(p, "value must be less than or equal to %d", maxRing)
	}
}

func (d *decoder) maglev(p path, size *wrapperspb.UInt64Value, b *config.Balance) {
	b.Kind = config.MaglevLB
	b.MaglevTable = orUint64(size, defaultMaglev)
	switch {
	case b.MaglevTable > maxMaglev:
		d.refuse(p.dot("table_size"), "value must be less than or equal to %d", maxMaglev)
	case !new(big.Int).SetUint64(b.MaglevTable).ProbablyPrime(0):
		d.refuse(p.dot("table_size"), "The table size of maglev must be prime number")
	}
}

// consistentConfig is what all messages about consistent hashing have in common.
type consistentConfig interface {
	GetUseHostnameForHashing() bool
	GetHashBalanceFactor() *wrapperspb.UInt32Value
}

func (d *decoder) consistent(p path, m consistentConfig, b *config.Balance) {
	b.UseHostname = m.GetUseHostnameForHashing()
	b.BalanceFactor = m.GetHashBalanceFactor().GetValue()
	if m.GetHashBalanceFactor() != nil && b.BalanceFactor < minBalanceFactor {
		d.refuse(p.dot("hash_balance_factor"), "value must be greater than or equal to %d", minBalanceFactor)
	}
}

// policyList takes the first policy that is known (upstream_impl.cc,
// configureLbPolicies).
func (d *decoder) policyList(p path, m *clusterv3.Cluster, c *config.Cluster) {
	list := m.GetLoadBalancingPolicy()
	if list == nil {
		d.refuse(p, "cluster: field load_balancing_policy need to be set")
		return
	}
	if l := m.GetCommonLbConfig(); l.GetZoneAwareLbConfig() != nil || l.GetLocalityWeightedLbConfig() != nil || l.GetConsistentHashingLbConfig() != nil {
		d.refuse(p.dot("common_lb_config"), "cluster: load_balancing_policy cannot be combined with partial fields "+
			"(zone_aware_lb_config, locality_weighted_lb_config, consistent_hashing_lb_config) of common_lb_config")
	}
	if m.GetLbSubsetConfig() != nil {
		d.refuse(p.dot("lb_subset_config"), "cluster: load_balancing_policy cannot be combined with lb_subset_config")
	}
	d.policies(p.dot("load_balancing_policy"), list, c)
}

// policies takes the first policy of a list that is known.
func (d *decoder) policies(p path, list *clusterv3.LoadBalancingPolicy, c *config.Cluster) {
	p = p.dot("policies")
	var missing []string
	for i, policy := range list.GetPolicies() {
		e := policy.GetTypedExtensionConfig()
		if typeName, _, bad := unwrap(e.GetTypedConfig()); bad == "" && !implements(balancePolicy, typeName) {
			missing = append(missing, e.GetName())
			continue
		}
		p := p.at(i).dot("typed_extension_config").dot("typed_config")
		d.policy(p, d.extension(p, balancePolicy, e.GetName(), e.GetTypedConfig()), c)
		return
	}
	d.refuse(p, "cluster: didn't find a registered load balancer factory implementation for cluster: '%s' with names from [%s]", c.Name, strings.Join(missing, ", "))
}

func (d *decoder) policy(p path, policy proto.Message, c *config.Cluster) {
	b := &c.Balance
	_, provided := policy.(*providedv3.ClusterProvided)
	d.providedBalance(p, provided, c)
	switch m := policy.(type) {
	case *roundv3.RoundRobin:
		b.Kind = config.RoundRobin
		d.localityLB(m.GetLocalityLbConfig(), c)
		d.slowStart(p.dot("slow_start_config"), m.GetSlowStartConfig(), b)
	case *clientv3.ClientSideWeightedRoundRobin:
		d.reportedWeights(p, m, b)
	case *randomv3.Random:
		b.Kind = config.Random
		d.localityLB(m.GetLocalityLbConfig(), c)
	case *leastv3.LeastRequest:
		d.choices(p, m, b)
		b.ActiveBias = d.bias(p, d.runtimeDouble(m.GetActiveRequestBias(), 1))
		b.FullScan = m.GetSelectionMethod() == leastv3.LeastRequest_FULL_SCAN || m.GetEnableFullScan().GetValue()
		d.localityLB(m.GetLocalityLbConfig(), c)
		d.slowStart(p.dot("slow_start_config"), m.GetSlowStartConfig(), b)
	case *ringv3.RingHash:
		d.ringPolicy(p, m, b)
	case *maglevv3.Maglev:
		d.maglev(p, m.GetTableSize(), b)
		b.LocalityWeighted = m.GetLocalityWeightedLbConfig() != nil
		if h := m.GetConsistentHashingLbConfig(); h != nil {
			d.consistent(p.dot("consistent_hashing_lb_config"), h, b)
		}
	case *wrrv3.WrrLocality:
		d.policies(p.dot("endpoint_picking_policy"), m.GetEndpointPickingPolicy(), c)
		b.LocalityWeighted = true
	case *subsetv3.Subset:
		d.subsetPolicy(p, m, c)
	case *overridev3.OverrideHost:
		d.overrideHost(p, m, c)
	case *rendezvousv1.Rendezvous:
		b.Kind = config.Rendezvous
		d.consistent(p, m, b)
	case *ketamav1.Ketama:
		b.Kind = config.Ketama
		d.consistent(p, m, b)
	case *libmemcachedv1.Libmemcached:
		b.Kind = config.Libmemcached
		d.consistent(p, m, b)
	}
}

// Defaults and bounds of ClientSideWeightedRoundRobin.
const (
	defaultBlackout   = 10 * time.Second
	defaultExpiration = 3 * time.Minute
	defaultReweigh    = time.Second
	leastReweigh      = 100 * time.Millisecond
)

func (d *decoder) reportedWeights(p path, m *clientv3.ClientSideWeightedRoundRobin, b *config.Balance) {
	b.Kind = config.RoundRobin
	b.Reported = &config.ReportedWeights{
		Blackout:     d.duration(p.dot("blackout_period"), m.GetBlackoutPeriod(), defaultBlackout),
		Expiration:   d.duration(p.dot("weight_expiration_period"), m.GetWeightExpirationPeriod(), defaultExpiration),
		Update:       max(d.duration(p.dot("weight_update_period"), m.GetWeightUpdatePeriod(), defaultReweigh), leastReweigh),
		ErrorPenalty: float64(m.GetErrorUtilizationPenalty().GetValue()), // Envoy's code has no default, whatever its documentation says
		Metrics:      m.GetMetricNamesForComputingUtilization(),
	}
	if m.GetEnableOobLoadReport().GetValue() {
		d.unsupported(p.dot("enable_oob_load_report"), "Envoy does not ask hosts for reports either: they come beside answers")
	}
	if !(b.Reported.ErrorPenalty >= 0) {
		d.refuse(p.dot("error_utilization_penalty"), "value must be greater than or equal to 0")
	}
}

func (d *decoder) ringPolicy(p path, m *ringv3.RingHash, b *config.Balance) {
	if m.GetHashFunction() == ringv3.RingHash_MURMUR_HASH_2 {
		b.RingHash = config.RingMurmur2
	}
	d.ring(p, m, b)
	b.LocalityWeighted = m.GetLocalityWeightedLbConfig() != nil
	if h := m.GetConsistentHashingLbConfig(); h != nil {
		d.consistent(p.dot("consistent_hashing_lb_config"), h, b)
		return
	}
	d.consistent(p, m, b)
}

func (d *decoder) localityLB(m *lbcommonv3.LocalityLbConfig, c *config.Cluster) {
	c.Balance.LocalityWeighted = m.GetLocalityWeightedLbConfig() != nil
	c.FailTrafficOnPanic = m.GetZoneAwareLbConfig().GetFailTrafficOnPanic()
	d.zone(m.GetZoneAwareLbConfig(), c)
}
