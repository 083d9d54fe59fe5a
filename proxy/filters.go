package proxy

import (
	"fmt"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/filter/buffer"
	"github.com/attache-mesh/attache/proxy/filter/jwtauthn"
	"github.com/attache-mesh/attache/proxy/httpproxy"
)

// chains compiles the filters of a connection manager.
func (a *update) chains(h *config.HTTP) (c httpproxy.Chains, err error) {
	env := filter.Env{Prefix: "http." + h.StatPrefix + ".", Workers: len(a.workers), Cluster: a.Cluster, Wall: a.o.Wall}
	if env.Wall == nil {
		env.Wall = time.Now
	}
	if c.Main, err = chain(h.Filters, env); err != nil {
		return c, err
	}
	for _, u := range h.UpgradeFilters {
		own := httpproxy.UpgradeChain{Type: u.Type}
		if own.Chain, err = chain(u.Filters, env); err != nil {
			return c, err
		}
		c.Upgrades = append(c.Upgrades, own)
	}
	return c, nil
}

func chain(filters []config.HTTPFilter, env filter.Env) (*filter.Chain, error) {
	var places []filter.Place
	for i := range filters {
		p, err := place(&filters[i], env)
		if err != nil {
			return nil, fmt.Errorf("filter %s: %w", filters[i].Name, err)
		}
		places = append(places, p)
	}
	return filter.NewChain(places), nil
}

// place compiles one filter. The one switch over the kinds of filter.
func place(c *config.HTTPFilter, env filter.Env) (p filter.Place, err error) {
	p.Name, p.Disabled = c.Name, c.Disabled
	switch cfg := c.Config.(type) {
	case *config.Buffer:
		p.Filter, p.Own = buffer.New(cfg), buffer.Own
	case *config.JWT:
		p.Own = jwtauthn.Own
		p.Filter, err = jwtauthn.New(cfg, env)
	default:
		err = fmt.Errorf("no filter is made of %T", cfg)
	}
	return p, err
}
