package consul

// A catalog entry as an instance.

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"

	"github.com/hashicorp/consul/api"

	"github.com/attache-mesh/attache/discovery"
)

// instances reads an answer's entries. What cannot be used is told, one error
// an entry. No part of an entry is trusted to be there.
func (s *Source) instances(ref *reference, entries []*api.ServiceEntry) (all []discovery.Instance, unusable []error) {
	ids := identities(entries)
	all = make([]discovery.Instance, 0, len(entries))
	for i, e := range entries {
		if !whole(e) {
			unusable = append(unusable, errors.New("an entry without a node or a service"))
			continue
		}
		instance, err := s.instance(ref, e)
		if err != nil {
			unusable = append(unusable, fmt.Errorf("instance %.100q on node %.100q: %w", e.Service.ID, e.Node.Node, err))
			continue
		}
		instance.ID = ids[i]
		all = append(all, instance)
	}
	return all, unusable
}

func whole(e *api.ServiceEntry) bool { return e != nil && e.Node != nil && e.Service != nil }

// identities names the entries. A service's ID is unique only on its node, and
// is the service's name if whoever registered it gave none: such a one, and one
// that occurs twice, has the node's name before it. The rule looks at nothing
// but the answer, so that every replica comes to the same names, and one that is
// given IDs keeps them whoever comes and goes.
func identities(entries []*api.ServiceEntry) []string {
	times := map[string]int{}
	for _, e := range entries {
		if whole(e) {
			times[e.Service.ID]++
		}
	}
	ids := make([]string, len(entries))
	taken := map[string]int{} // how many wanted an ID
	for i, e := range entries {
		if !whole(e) {
			continue
		}
		id := e.Service.ID
		if id == "" || id == e.Service.Service || times[id] > 1 {
			id = e.Node.Node + "/" + id
		}
		if taken[id] > 0 { // one node name in two datacenters or partitions
			id = e.Node.Datacenter + "/" + e.Node.Partition + "/" + e.Node.ID + "/" + id
		}
		ids[i] = free(taken, id)
	}
	return ids
}

// free gives id, or it with a number if an answer repeats itself, which Consul's
// do not.
func free(taken map[string]int, id string) string {
	for base := id; taken[id] > 0; {
		taken[base]++
		id = base + "#" + strconv.Itoa(taken[base])
	}
	taken[id]++
	return id
}

func (s *Source) instance(ref *reference, e *api.ServiceEntry) (discovery.Instance, error) {
	addr, err := addressOf(cmp.Or(ref.tagged, s.conf.Tagged), ref, e)
	if err != nil && e.Service.SocketPath == "" {
		return discovery.Instance{}, err
	}
	i := discovery.Instance{
		Tags:     sortedTags(e.Service.Tags),
		Metadata: e.Service.Meta,
		Region:   place(e, s.conf.RegionKeys, func(l *api.Locality) string { return l.Region }),
		Zone:     place(e, s.conf.ZoneKeys, func(l *api.Locality) string { return l.Zone }),
		SubZone:  place(e, s.conf.SubZoneKeys, func(*api.Locality) string { return "" }),
	}
	if err == nil {
		i.Addr = addr
	} else {
		i.Path = e.Service.SocketPath
	}
	i.Health, i.Weight = s.health(e)
	return i, nil
}

// addressOf finds where an instance is reached: at its own address, else at its
// node's; tagged ones first if asked for, as Consul's translate_wan_addrs does.
func addressOf(tag string, ref *reference, e *api.ServiceEntry) (netip.AddrPort, error) {
	host := cmp.Or(e.Service.Address, e.Node.Address)
	port, err := portOf(ref, e.Service)
	if tag != "" {
		if tagged, ok := e.Service.TaggedAddresses[tag]; ok && tagged.Address != "" {
			host = tagged.Address
			if tagged.Port > 0 && ref.port == 0 && ref.portName == "" {
				port, err = tagged.Port, nil
			}
		} else if node := e.Node.TaggedAddresses[tag]; node != "" && e.Service.Address == "" {
			host = node
		}
	}
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return netip.AddrPort{}, fmt.Errorf("address %.100q: not an IP address", host)
	case ip.IsUnspecified():
		return netip.AddrPort{}, fmt.Errorf("address %s: no address to connect to", ip)
	case port < 1 || port > math.MaxUint16:
		return netip.AddrPort{}, fmt.Errorf("port %d: no port to connect to", port)
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(port)), nil
}

// portOf is the reference's number, the service's port of that name, or its own.
func portOf(ref *reference, service *api.AgentService) (int, error) {
	if ref.port != 0 {
		return int(ref.port), nil
	}
	if ref.portName == "" {
		return service.DefaultPort(), nil
	}
	for _, p := range service.Ports {
		if p.Name == ref.portName {
			return p.Port, nil
		}
	}
	return 0, fmt.Errorf("no port is named %.100q", ref.portName)
}

func sortedTags(tags []string) []string {
	if len(tags) == 0 {
		return nil
	}
	tags = slices.Clone(tags)
	slices.Sort(tags)
	return slices.Compact(tags)
}

// place looks for where an instance is, nearest first: the service's own
// locality, its meta, the node's locality, the node's meta.
func place(e *api.ServiceEntry, keys []string, of func(*api.Locality) string) string {
	for _, at := range []struct {
		locality *api.Locality
		meta     map[string]string
	}{{e.Service.Locality, e.Service.Meta}, {e.Node.Locality, e.Node.Meta}} {
		if at.locality != nil && of(at.locality) != "" {
			return of(at.locality)
		}
		for _, key := range keys {
			if v := at.meta[key]; v != "" {
				return v
			}
		}
	}
	return ""
}

// health reads the checks of an instance and its node: maintenance takes nothing
// new, critical nothing at all, and a warning is degraded unless weights say it.
func (s *Source) health(e *api.ServiceEntry) (discovery.Health, uint32) {
	checks := slices.DeleteFunc(slices.Clone(e.Checks), func(c *api.HealthCheck) bool { return c == nil })
	weight := s.weight(e.Service)
	switch checks.AggregatedStatus() {
	case api.HealthPassing:
		return discovery.Healthy, weight
	case api.HealthWarning:
		if !s.conf.WarningByWeight {
			return discovery.Degraded, weight
		}
		if e.Service.Weights.Warning < 1 {
			return discovery.Draining, weight
		}
		return discovery.Healthy, bound(e.Service.Weights.Warning)
	case api.HealthMaint:
		return discovery.Draining, weight
	}
	return discovery.Unhealthy, weight // critical, or a status that Consul does not have
}

// weight is what the service's meta says, else its weight when it passes.
func (s *Source) weight(service *api.AgentService) uint32 {
	for _, key := range s.conf.WeightKeys {
		if n, err := strconv.ParseUint(service.Meta[key], 10, 32); err == nil && n > 0 {
			return bound(int(n))
		}
	}
	return bound(service.Weights.Passing)
}

// maxWeight keeps the sum of a set's weights far below 2³²-1, which Envoy's
// endpoints may not exceed; Consul's own limit is 65535.
const maxWeight = 65535

func bound(weight int) uint32 { return uint32(min(max(weight, 1), maxWeight)) }
