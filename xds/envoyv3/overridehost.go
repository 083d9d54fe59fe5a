package envoyv3

// The policy by which requests list the hosts that they want.

import (
	"strings"

	overridev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/override_host/v3"

	"github.com/attache-mesh/attache/proxy/config"
)

func overrideHostTables() []table {
	return []table{
		{of: &overridev3.OverrideHost{}, honoured: "override_host_sources fallback_policy"},
		{of: &overridev3.OverrideHost_OverrideHostSource{}, honoured: "header metadata"},
	}
}

// overrideHost reads the sources, and the policy of requests that list no host that
// there is; the texts are Envoy's (override_host/load_balancer.cc).
func (d *decoder) overrideHost(p path, m *overridev3.OverrideHost, c *config.Cluster) {
	if len(m.GetOverrideHostSources()) == 0 {
		d.refuse(p.dot("override_host_sources"), "value must contain at least 1 item(s)")
	}
	for i, s := range m.GetOverrideHostSources() {
		p := p.dot("override_host_sources").at(i)
		from := config.HostSource{Header: strings.ToLower(s.GetHeader())}
		if s.GetMetadata() != nil {
			from.Metadata = d.metadataKey(p.dot("metadata"), s.GetMetadata())
		}
		switch {
		case from.Header == "" && s.GetMetadata() == nil:
			d.refuse(p, "Empty override source")
		case from.Header != "" && s.GetMetadata() != nil:
			d.refuse(p, "Only one override source must be set")
		}
		c.HostsFrom = append(c.HostsFrom, from)
	}
	if m.GetFallbackPolicy() == nil {
		d.refuse(p.dot("fallback_policy"), "value is required")
		return
	}
	d.policies(p.dot("fallback_policy"), m.GetFallbackPolicy(), c)
}
