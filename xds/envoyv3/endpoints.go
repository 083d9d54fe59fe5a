package envoyv3

// The hosts of a cluster.

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/attache-mesh/attache/proxy/config"
)

// defaultOverprovisioning is policy.overprovisioning_factor in percent;
// maxPriority is the largest priority (endpoint_components.proto).
const (
	defaultOverprovisioning = 140
	maxPriority             = 128
	maxWeights              = 1<<32 - 1
)

// ownEndpoints reads the endpoints that stand in the cluster itself.
func (d *decoder) ownEndpoints(p path, m *clusterv3.Cluster, c *config.Cluster) {
	c.Endpoints = d.endpoints(p, m.GetLoadAssignment(), c.Discovery)
	c.Endpoints.Cluster = cmp.Or(c.Endpoints.Cluster, c.Name)
	if c.Discovery != config.DiscoveryLogicalDNS {
		return
	}
	switch localities := c.Endpoints.Localities; {
	case m.GetLoadAssignment() == nil:
		d.refuse(p, "LOGICAL_DNS clusters must have a single host")
	case len(localities) != 1 || len(localities[0].Endpoints) != 1:
		d.refuse(p, "LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint")
	default:
		localities[0].Priority = 0 // as DnsClusterImpl does
	}
}

// endpoints reads a list of endpoints and checks what concerns all of them.
func (d *decoder) endpoints(p path, m *endpointv3.ClusterLoadAssignment, from config.Discovery) config.Endpoints {
	all := config.Endpoints{
		Cluster:                m.GetClusterName(),
		OverprovisioningFactor: orUint32(m.GetPolicy().GetOverprovisioningFactor(), defaultOverprovisioning),
	}
	if all.OverprovisioningFactor == 0 {
		d.refuse(p.dot("policy").dot("overprovisioning_factor"), "value must be greater than 0")
	}
	d.policyOf(p.dot("policy"), m.GetPolicy(), &all)
	sums := map[uint32]uint64{}
	for i, g := range m.GetEndpoints() {
		l := d.locality(p.dot("endpoints").at(i), g, from)
		all.Localities = append(all.Localities, l)
		sums[l.Priority] += uint64(l.Weight)
		if sums[l.Priority] > maxWeights {
			d.refuse(p.dot("endpoints").at(i), "The sum of weights of all localities at the same priority exceeds %d", uint32(maxWeights))
		}
	}
	return all
}

// policyOf reads what else is said of all endpoints; the texts are Envoy's
// (upstream_impl.cc, parseDropOverloadConfig).
func (d *decoder) policyOf(p path, m *endpointv3.ClusterLoadAssignment_Policy, all *config.Endpoints) {
	all.StaleAfter = d.duration(p.dot("endpoint_stale_after"), m.GetEndpointStaleAfter(), 0)
	all.WeighHealth = m.GetWeightedPriorityHealth()
	drops := m.GetDropOverloads()
	if len(drops) == 0 {
		return
	}
	p = p.dot("drop_overloads")
	if len(drops) > 1 {
		d.refuse(p, "Cluster drop_overloads config has %d categories. Envoy only support one.", len(drops))
	}
	d.required(p.at(0).dot("category"), drops[0].GetCategory())
	f := drops[0].GetDropPercentage()
	all.DropCategory = drops[0].GetCategory()
	all.Drop = fractionOf(f.GetNumerator(), f.GetDenominator())
	if f.GetNumerator() > all.Drop.Den {
		d.refuse(p.at(0).dot("drop_percentage"), "Cluster drop_overloads config is invalid. drop_ratio=%v(Numerator %d / Denominator %d). The valid range is 0~1.",
			float32(f.GetNumerator())/float32(all.Drop.Den), f.GetNumerator(), all.Drop.Den)
	}
	const key = "load_balancing_policy.drop_overload_limit"
	if limit, ok := d.opts.Runtime.integer(key); ok {
		if limit > 100 {
			d.refuse(p, "%s runtime key config %d is invalid. The valid range is 0~100", key, limit)
		}
		all.Drop.Num = min(all.Drop.Num, uint32(min(limit, 100))*(all.Drop.Den/100))
	}
}

func (d *decoder) locality(p path, m *endpointv3.LocalityLbEndpoints, from config.Discovery) config.Locality {
	l := config.Locality{
		Region:   m.GetLocality().GetRegion(),
		Zone:     m.GetLocality().GetZone(),
		SubZone:  m.GetLocality().GetSubZone(),
		Priority: m.GetPriority(),
		Weight:   m.GetLoadBalancingWeight().GetValue(),
	}
	if l.Priority > maxPriority {
		d.refuse(p.dot("priority"), "value must be less than or equal to %d", maxPriority)
	}
	d.collection(p, m, from, &l)
	var sum uint64
	for i, e := range m.GetLbEndpoints() {
		if e.GetEndpointName() != "" {
			continue // the walk has refused it
		}
		endpoint := d.endpoint(p.dot("lb_endpoints").at(i), e, from)
		sum += uint64(endpoint.Weight)
		l.Endpoints = append(l.Endpoints, &endpoint)
	}
	if sum > maxWeights {
		d.refuse(p, "The sum of weights of all upstream hosts in a locality exceeds %d", uint32(maxWeights))
	}
	return l
}

// collection reads where the endpoints of a locality come from, if each is a
// resource of its own. The text is Envoy's (eds.cc).
func (d *decoder) collection(p path, m *endpointv3.LocalityLbEndpoints, from config.Discovery, l *config.Locality) {
	c := m.GetLedsClusterLocalityConfig()
	if c == nil {
		return
	}
	p = p.dot("leds_cluster_locality_config")
	if from != config.DiscoveryEDS {
		d.refuse(p, "only in endpoints that come by EDS")
	}
	if len(m.GetLbEndpoints()) > 0 {
		d.refuse(p, "A ClusterLoadAssignment cannot contain both LEDS (resource: %s) and a list of endpoints.", c.GetLedsCollectionName())
	}
	l.Collection = c.GetLedsCollectionName()
	d.required(p.dot("leds_collection_name"), l.Collection)
	if !strings.HasSuffix(l.Collection, "/*") {
		d.never(p.dot("leds_collection_name"), "only glob collections, whose name ends in /*")
	}
	l.CollectionSource = d.source(p.dot("leds_config"), c.GetLedsConfig())
	if s := l.CollectionSource; s.Kind == config.SourceAPI && s.API.Poll != nil {
		d.refuse(p.dot("leds_config"), "collections come by DELTA_GRPC or ads: there is no REST method for them (leds.proto)")
	}
}

func (d *decoder) endpoint(p path, m *endpointv3.LbEndpoint, from config.Discovery) config.Endpoint {
	e := config.Endpoint{
		Hostname: m.GetEndpoint().GetHostname(),
		Weight:   orUint32(m.GetLoadBalancingWeight(), 1),
		Health:   health(m.GetHealthStatus()),
	}
	if e.Weight == 0 {
		d.refuse(p.dot("load_balancing_weight"), "value must be greater than or equal to 1")
	}
	e.Address = d.endpointAddress(p.dot("endpoint").dot("address"), m.GetEndpoint().GetAddress(), from)
	e.Others = d.moreAddresses(p.dot("endpoint").dot("additional_addresses"), m.GetEndpoint(), from)
	d.lbMetadata(p.dot("metadata"), m.GetMetadata(), &e)
	e.FilterMetadata = filterMetadata(m.GetMetadata())
	e.SocketLabels = labels(m.GetMetadata().GetFilterMetadata()[socketNamespace])
	e.Check = d.endpointCheck(p.dot("endpoint").dot("health_check_config"), m.GetEndpoint().GetHealthCheckConfig())
	e.AddedTLVs = d.endpointTLVs(p.dot("metadata"), m.GetMetadata())
	return e
}

func (d *decoder) endpointAddress(p path, m *corev3.Address, from config.Discovery) config.Address {
	if s := m.GetSocketAddress(); s.GetNetworkNamespaceFilepath() != "" { // upstream_impl.cc, HostDescriptionImplBase
		d.refuse(p.dot("socket_address").dot("network_namespace_filepath"), "Invalid host configuration: hosts cannot specify network namespaces with their address")
		return config.Address{}
	}
	if from == config.DiscoveryStrictDNS || from == config.DiscoveryLogicalDNS {
		return d.hostOrIP(p, m)
	}
	if in := m.GetEnvoyInternalAddress(); in != nil {
		return d.inside(p.dot("envoy_internal_address"), in)
	}
	before := len(d.problems)
	a := d.ipOrPipe(p, m)
	for i := range d.problems[before:] {
		if problem := &d.problems[before+i]; problem.Text == "malformed IP address: "+m.GetSocketAddress().GetAddress() {
			problem.Text += ". Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'"
		}
	}
	if a.IP.IsValid() && a.IP.Port() == 0 {
		d.warn(p.dot("socket_address").dot("port_value"), "nothing can be reached at port 0")
	}
	return a
}

func health(s corev3.HealthStatus) config.Health {
	switch s {
	case corev3.HealthStatus_HEALTHY:
		return config.HealthHealthy
	case corev3.HealthStatus_UNHEALTHY:
		return config.HealthUnhealthy
	case corev3.HealthStatus_DRAINING:
		return config.HealthDraining
	case corev3.HealthStatus_TIMEOUT:
		return config.HealthTimeout
	case corev3.HealthStatus_DEGRADED:
		return config.HealthDegraded
	}
	return config.HealthUnknown
}

// lbMetadata reads the namespace envoy.lb. The others are for filters that
// there are not.
func (d *decoder) lbMetadata(p path, m *corev3.Metadata, e *config.Endpoint) {
	fields := m.GetFilterMetadata()["envoy.lb"].GetFields()
	for _, name := range sortedKeys(fields) {
		if e.Metadata == nil {
			e.Metadata = make(map[string]string, len(fields))
		}
		e.Metadata[name] = valueText(fields[name])
	}
	e.Canary = fields["canary"].GetBoolValue()
	if key := fields["hash_key"]; key != nil {
		if _, ok := key.GetKind().(*structpb.Value_StringValue); !ok {
			d.warn(p.dot("filter_metadata").key("envoy.lb").dot("hash_key"), "not a string: the address is hashed instead")
		}
		e.HashKey = key.GetStringValue()
	}
}

// valueText is a metadata value as text: strings as they are, the rest as JSON.
func valueText(v *structpb.Value) string {
	switch kind := v.GetKind().(type) {
	case *structpb.Value_StringValue:
		return kind.StringValue
	case *structpb.Value_BoolValue:
		return strconv.FormatBool(kind.BoolValue)
	case *structpb.Value_NumberValue:
		return strconv.FormatFloat(kind.NumberValue, 'g', -1, 64)
	}
	text, err := protojson.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
