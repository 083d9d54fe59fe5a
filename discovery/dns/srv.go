package dns

// Service records as instances (RFC 2782).

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/attache-mesh/attache/discovery"
)

// srvInstances makes an instance of each record and address. Priorities are
// numbered from 0 without gaps, as Envoy wants them; a weight of 0, "hardly
// ever", is 1.
func (w *watch) srvInstances(records []*dns.SRV) []discovery.Instance {
	records = slices.DeleteFunc(slices.Clone(records), func(r *dns.SRV) bool { return r.Target == "." })
	// By content, so that of two records for one place the same one counts
	// whatever the order in which they came.
	slices.SortFunc(records, func(a, b *dns.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Weight, a.Weight))
	})
	ports := portsOf(records)
	rank := ranks(records)
	var all []discovery.Instance
	for _, r := range records {
		name := strings.ToLower(r.Target)
		host := strings.TrimSuffix(name, ".")
		id := host
		if len(ports[name]) > 1 {
			id = fmt.Sprintf("%s:%d", host, r.Port)
		}
		for n, ip := range w.targets[name].addrs {
			instance := discovery.Instance{
				ID: id, Addr: netip.AddrPortFrom(ip, r.Port), Hostname: host,
				Weight: max(uint32(r.Weight), 1), Priority: rank[r.Priority],
			}
			if n > 0 {
				instance.ID = id + "/" + ip.String()
			}
			all = append(all, instance)
		}
	}
	return all
}

func portsOf(records []*dns.SRV) map[string]map[uint16]bool {
	ports := map[string]map[uint16]bool{}
	for _, r := range records {
		name := strings.ToLower(r.Target)
		if ports[name] == nil {
			ports[name] = map[uint16]bool{}
		}
		ports[name][r.Port] = true
	}
	return ports
}

// maxPriority is Envoy's (LocalityLbEndpoints.priority).
const maxPriority = 127

// ranks numbers the priorities, which records have in order.
func ranks(records []*dns.SRV) map[uint16]uint32 {
	rank := map[uint16]uint32{}
	for _, r := range records {
		if _, known := rank[r.Priority]; !known {
			rank[r.Priority] = min(uint32(len(rank)), maxPriority)
		}
	}
	return rank
}
