package client

// A route table together with the virtual hosts that came for it (VHDS).

import (
	"fmt"
	"slices"
	"strings"

	"github.com/attache-mesh/attache/proxy/config"
)

// whole is a table with its virtual hosts, as it was last put together.
type whole struct {
	base  *config.RouteTable
	hosts []*config.VirtualHost // beside those of base
	table *config.RouteTable
}

// maxHosts bounds those of one table that come by VHDS.
const maxHosts = 10_000

// withHosts puts tables together with their virtual hosts; what has not changed is the
// same pointer as before.
func (c *Client) withHosts(tables []*config.RouteTable) {
	q := &c.demands
	q.clashes = nil
	before := q.whole
	q.whole = map[string]*whole{}
	for i, base := range tables {
		if base.VHDS == nil {
			continue
		}
		hosts := c.hostsOf(base)
		w := before[base.Name]
		if w == nil || w.base != base || !slices.Equal(w.hosts, hosts) {
			t := *base
			t.VirtualHosts = append(slices.Clone(base.VirtualHosts), hosts...)
			w = &whole{base, hosts, &t}
		}
		q.whole[base.Name] = w
		tables[i] = w.table
	}
}

// hostsOf lists those of a table by name. One with a domain that another one has is
// left out (router/config_impl.cc, RouteMatcher).
func (c *Client) hostsOf(base *config.RouteTable) (hosts []*config.VirtualHost) {
	domains := map[string]string{}
	for _, v := range base.VirtualHosts {
		for _, d := range v.Domains {
			domains[strings.ToLower(d)] = v.Name
		}
	}
	for _, e := range c.world[vhds].sorted() {
		if e.now == nil || !strings.HasPrefix(e.name, base.Name+"/") {
			continue
		}
		v := e.now.value.(*config.VirtualHost)
		if text := clash(v, domains); text != "" || len(hosts) >= maxHosts {
			if text == "" {
				text = fmt.Sprintf("more than %d virtual hosts in route %s", maxHosts, base.Name)
			}
			if c.demands.clashes == nil {
				c.demands.clashes = map[string]string{}
			}
			c.demands.clashes[e.name] = text
			continue
		}
		for _, d := range v.Domains {
			domains[strings.ToLower(d)] = v.Name
		}
		hosts = append(hosts, v)
	}
	return hosts
}

func clash(v *config.VirtualHost, domains map[string]string) string {
	for _, d := range v.Domains {
		if other, taken := domains[strings.ToLower(d)]; taken {
			return fmt.Sprintf("Only unique values for domains are permitted. Duplicate entry of domain %s: that of virtual host %s", d, other)
		}
	}
	return ""
}
