package envoyv3

// Subsets of a cluster's hosts, and what routes want of them.

import (
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	subsetv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/subset/v3"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config"
)

// criteria are those of metadata_match: the namespace envoy.lb alone counts.
func criteria(m *corev3.Metadata) config.Criteria {
	return config.CriteriaOf(filterMetadata(m)["envoy.lb"])
}

func (d *decoder) subsets(p path, m *clusterv3.Cluster_LbSubsetConfig, c *config.Cluster) {
	if m == nil || len(m.GetSubsetSelectors()) == 0 {
		return // Envoy divides nothing then
	}
	s := &config.Subsets{
		Fallback:      [...]config.SubsetFallback{config.FallbackNone, config.FallbackAny, config.FallbackDefault}[m.GetFallbackPolicy()],
		Default:       config.CriteriaOf(fieldsOf(m.GetDefaultSubset())),
		LocalityAware: m.GetLocalityWeightAware(), ScaleLocality: m.GetScaleLocalityWeight(),
		PanicAny: m.GetPanicModeAny(), ListAsAny: m.GetListAsAny(),
		FallbackList: m.GetMetadataFallbackPolicy() == clusterv3.Cluster_LbSubsetConfig_FALLBACK_LIST,
	}
	for i, x := range m.GetSubsetSelectors() {
		s.Selectors = append(s.Selectors, d.subsetSelector(p.dot("subset_selectors").at(i), x))
	}
	if s.LocalityAware && !c.Balance.LocalityWeighted {
		d.refuse(p.dot("locality_weight_aware"), "Locality weight aware subset LB requires that a locality_weighted_lb_config be set in %s", c.Name)
	}
	c.Subsets = s
}

func (d *decoder) subsetSelector(p path, m *clusterv3.Cluster_LbSubsetConfig_LbSubsetSelector) config.SubsetSelector {
	x := config.SubsetSelector{
		Keys: sorted(m.GetKeys()), FallbackKeys: sorted(m.GetFallbackKeysSubset()), Single: m.GetSingleHostPerSubset(),
		Fallback: [...]config.SubsetFallback{
			config.FallbackNotDefined, config.FallbackNone, config.FallbackAny, config.FallbackDefault, config.FallbackKeys,
		}[m.GetFallbackPolicy()],
	}
	switch keys := x.Fallback == config.FallbackKeys; {
	case x.Single && len(x.Keys) != 1:
		d.refuse(p.dot("single_host_per_subset"), "subset_lb selector: single_host_per_subset requires exactly one key")
	case keys && len(x.FallbackKeys) == 0:
		d.refuse(p.dot("fallback_keys_subset"), "fallback_keys_subset cannot be empty")
	case !keys && len(x.FallbackKeys) > 0:
		d.refuse(p.dot("fallback_keys_subset"), "fallback_keys_subset can be set only for KEYS_SUBSET fallback_policy")
	case keys && slices.ContainsFunc(x.FallbackKeys, func(k string) bool { return !slices.Contains(x.Keys, k) }):
		d.refuse(p.dot("fallback_keys_subset"), "fallback_keys_subset must be a subset of selector keys")
	case keys && len(x.FallbackKeys) == len(x.Keys):
		d.refuse(p.dot("fallback_keys_subset"), "fallback_keys_subset cannot be equal to keys")
	}
	return x
}

// subsetPolicy reads the policy of that name: but for the balancing within a
// subset it is LbSubsetConfig field by field, in the same numbers.
func (d *decoder) subsetPolicy(p path, m *subsetv3.Subset, c *config.Cluster) {
	d.policies(p.dot("subset_lb_policy"), m.GetSubsetLbPolicy(), c)
	data, err := proto.Marshal(m)
	if err != nil {
		d.refuse(p, "cannot be read: %v", err)
		return
	}
	same := &clusterv3.Cluster_LbSubsetConfig{}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, same); err != nil {
		d.refuse(p, "cannot be read: %v", err)
		return
	}
	d.subsets(p, same, c)
	if c.Subsets != nil {
		c.Subsets.AllowRedundant = m.GetAllowRedundantKeys()
	}
}

func sorted(names []string) []string {
	all := slices.Clone(names)
	slices.Sort(all)
	return slices.Compact(all)
}
