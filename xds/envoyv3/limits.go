package envoyv3

// How much one resource may ask for. What is beyond is refused before anything
// is made of it.

import (
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

const (
	maxDomains   = 100_000   // of a route table, all virtual hosts together
	maxRoutes    = 100_000   // the same
	maxEndpoints = 100_000   // of a cluster
	maxChains    = 10_000    // of a listener
	maxPrograms  = 1_000_000 // instructions of all regular expressions of a resource, 40 bytes each
	maxProblems  = 100       // that are told of a resource, and as many warnings
)

// atMost reports more than there may be.
func (d *decoder) atMost(p path, n, most int, what string) bool {
	if n > most {
		d.refuse(p, "%d %s: at most %d are allowed", n, what, most)
	}
	return n <= most
}

func (d *decoder) tableFits(p path, m *routev3.RouteConfiguration) bool {
	domains, routes := 0, 0
	for _, v := range m.GetVirtualHosts() {
		domains += len(v.GetDomains())
		routes += len(v.GetRoutes())
	}
	p = p.dot("virtual_hosts")
	return d.atMost(p, len(m.GetVirtualHosts()), maxDomains, "virtual hosts") &&
		d.atMost(p, domains, maxDomains, "domains") && d.atMost(p, routes, maxRoutes, "routes")
}

// RoutesFit reports whether a table that was put together of parts that were good is
// within the bounds of one that is read whole, and, if domains may have changed, each
// of them is there once.
func RoutesFit(t *config.RouteTable, domains bool) bool {
	routes := 0
	for _, v := range t.VirtualHosts {
		routes += len(v.Routes)
	}
	return len(t.VirtualHosts) <= maxDomains && routes <= maxRoutes && t.Programs <= maxPrograms && (!domains || domainsFit(t))
}

func domainsFit(t *config.RouteTable) bool {
	seen := map[string]bool{}
	for _, v := range t.VirtualHosts {
		for _, name := range v.Domains {
			if seen[name] || len(seen) == maxDomains {
				return false
			}
			seen[name] = true
		}
	}
	return true
}

func (d *decoder) endpointsFit(p path, m *endpointv3.ClusterLoadAssignment) bool {
	n := 0
	for _, g := range m.GetEndpoints() {
		n += 1 + len(g.GetLbEndpoints())
	}
	return d.atMost(p.dot("endpoints"), n, maxEndpoints, "localities and endpoints")
}

func (d *decoder) chainsFit(p path, m *listenerv3.Listener) bool {
	return d.atMost(p.dot("filter_chains"), len(m.GetFilterChains()), maxChains, "filter chains") &&
		d.atMost(p.dot("additional_addresses"), len(m.GetAdditionalAddresses()), maxChains, "addresses")
}
