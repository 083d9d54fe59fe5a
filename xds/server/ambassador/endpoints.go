package ambassador

// Endpoints: a set of instances as a ClusterLoadAssignment.

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/discovery"
)

// placed is an instance with the priority that it is sent with, the priority
// that it asked for, and the weight that it is sent with.
type placed struct {
	*discovery.Instance
	priority, asked uint32
	weight          uint32
}

func (p placed) locality() [3]string { return [3]string{p.Region, p.Zone, p.SubZone} }

// localities are the instances as they are sent, each locality of a priority by
// itself; none is empty.
func localities(set *discovery.Set, zone string) (all [][]placed) {
	instances := place(set, zone)
	divisor := weightDivisor(instances)
	first := 0
	for i := range instances {
		p, before := &instances[i], &instances[max(i, 1)-1]
		p.weight = max(p.Weight/divisor, 1)
		if p.priority != before.priority || p.locality() != before.locality() {
			all = append(all, instances[first:i])
			first = i
		}
	}
	if first < len(instances) {
		all = append(all, instances[first:])
	}
	return all
}

// assignment gives each locality of a priority its instances, or the name of
// the collection that has them.
func assignment(use Use, all [][]placed, collections bool) *endpointv3.ClusterLoadAssignment {
	a := &endpointv3.ClusterLoadAssignment{ClusterName: use.String()}
	for _, instances := range all {
		first := instances[0]
		l := &endpointv3.LocalityLbEndpoints{
			Locality:            &corev3.Locality{Region: text(first.Region), Zone: text(first.Zone), SubZone: text(first.SubZone)},
			Priority:            first.priority,
			LoadBalancingWeight: wrapperspb.UInt32(localityWeight(use, instances)),
		}
		if collections {
			l.LbConfig = collection(use, first)
		} else {
			for _, p := range instances {
				l.LbEndpoints = append(l.LbEndpoints, lbEndpoint(use, p))
			}
		}
		a.Endpoints = append(a.Endpoints, l)
	}
	return a
}

// localityWeight is what the locality's instances weigh together, so that where
// localities are weighed all instances of one weight get one part; gRPC always
// weighs them, and uses no locality without a weight. In its ring the weights
// are multiplied: there a locality weighs 1.
func localityWeight(use Use, instances []placed) (sum uint32) {
	if use.Table.Hashed() {
		return 1
	}
	for _, p := range instances {
		sum += p.weight
	}
	return sum
}

// place sorts the instances by priority, locality and id. Priorities count from
// 0 without a gap, which gRPC demands. Of two instances at one address the first
// by id is sent: clients know hosts by their addresses, and gRPC refuses both.
func place(set *discovery.Set, zone string) (all []placed) {
	all = make([]placed, 0, len(set.Instances))
	taken := make(map[netip.AddrPort]bool, len(set.Instances))
	paths := map[string]bool{}
	for i := range set.Instances {
		in := &set.Instances[i]
		addr := netip.AddrPortFrom(in.Addr.Addr().Unmap(), in.Addr.Port())
		if in.Path != "" && paths[in.Path] || in.Path == "" && taken[addr] {
			continue
		}
		taken[addr], paths[in.Path] = true, true
		p := placed{Instance: in, priority: in.Priority}
		if zone != "" {
			p.priority = 2 * min(in.Priority, math.MaxUint32/4)
			if !slices.Contains(in.ForZones, zone) {
				p.priority++
			}
		}
		p.asked = p.priority
		all = append(all, p)
	}
	slices.SortStableFunc(all, func(a, b placed) int {
		x, y := a.locality(), b.locality()
		return cmp.Or(cmp.Compare(a.priority, b.priority), slices.Compare(x[:], y[:]))
	})
	renumber(all)
	return all
}

// maxPriority is the largest that Envoy takes; what comes later shares it.
const maxPriority = 128

func renumber(sorted []placed) {
	next, last := uint32(0), uint32(0)
	for i := range sorted {
		if i > 0 && sorted[i].priority != last {
			next = min(next+1, maxPriority)
		}
		last = sorted[i].priority
		sorted[i].priority = next
	}
}

// hintedZone is zone if instances are meant for it: as in Kubernetes, only if
// every instance that takes new work says for which zones it is, and one of them
// is for this one.
func hintedZone(set *discovery.Set, zone string) string {
	if zone == "" {
		return ""
	}
	found := false
	for i := range set.Instances {
		in := &set.Instances[i]
		switch {
		case in.Health != discovery.Healthy && in.Health != discovery.Degraded:
		case len(in.ForZones) == 0:
			return ""
		case slices.Contains(in.ForZones, zone):
			found = true
		}
	}
	if !found {
		return ""
	}
	return zone
}

// weightDivisor keeps the sum of weights within 32 bits, which is Envoy's bound.
func weightDivisor(all []placed) uint32 {
	sum := uint64(0)
	for _, p := range all {
		sum += uint64(p.Weight)
	}
	return uint32(sum/(math.MaxUint32/2)) + 1
}

func lbEndpoint(use Use, p placed) *endpointv3.LbEndpoint {
	in := p.Instance
	return &endpointv3.LbEndpoint{
		HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
			Address: instanceAddress(in), Hostname: text(in.Hostname),
		}},
		HealthStatus:        healthStatus(in.Health),
		LoadBalancingWeight: wrapperspb.UInt32(p.weight),
		Metadata:            lbMetadata(use, in),
	}
}

func instanceAddress(in *discovery.Instance) *corev3.Address {
	if in.Path != "" {
		return pipe(in.Path)
	}
	return socketAddress(in.Addr.Addr().Unmap(), uint32(in.Addr.Port()))
}

func healthStatus(h discovery.Health) corev3.HealthStatus {
	switch h {
	case discovery.Degraded:
		return corev3.HealthStatus_DEGRADED
	case discovery.Draining:
		return corev3.HealthStatus_DRAINING
	case discovery.Unhealthy:
		return corev3.HealthStatus_UNHEALTHY
	}
	return corev3.HealthStatus_HEALTHY
}

// lbMetadata is the instance's metadata for subsets, and its identity as
// hash_key unless that is its address anyway.
func lbMetadata(use Use, in *discovery.Instance) *corev3.Metadata {
	fields := make(map[string]*structpb.Value, len(in.Metadata)+1)
	for name, value := range in.Metadata {
		fields[text(name)] = structpb.NewStringValue(text(value))
	}
	delete(fields, "hash_key")
	if key := use.Table.HashKey(in); key != "" && key != in.Addr.String() {
		fields["hash_key"] = structpb.NewStringValue(text(key))
	}
	if len(fields) == 0 {
		return nil
	}
	return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"envoy.lb": {Fields: fields}}}
}

// text is what a message may carry of a source's text.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
