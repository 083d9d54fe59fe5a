package proxy

import (
	"fmt"
	"reflect"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/filter/adaptive"
	"github.com/attache-mesh/attache/proxy/filter/admission"
	"github.com/attache-mesh/attache/proxy/filter/apikeyauth"
	"github.com/attache-mesh/attache/proxy/filter/bandwidthlimit"
	"github.com/attache-mesh/attache/proxy/filter/basicauth"
	"github.com/attache-mesh/attache/proxy/filter/buffer"
	"github.com/attache-mesh/attache/proxy/filter/compress"
	"github.com/attache-mesh/attache/proxy/filter/cors"
	"github.com/attache-mesh/attache/proxy/filter/csrf"
	"github.com/attache-mesh/attache/proxy/filter/customresponse"
	"github.com/attache-mesh/attache/proxy/filter/decompress"
	"github.com/attache-mesh/attache/proxy/filter/dynamicforward"
	"github.com/attache-mesh/attache/proxy/filter/extauthz"
	"github.com/attache-mesh/attache/proxy/filter/extproc"
	"github.com/attache-mesh/attache/proxy/filter/fault"
	"github.com/attache-mesh/attache/proxy/filter/grpchttp1bridge"
	"github.com/attache-mesh/attache/proxy/filter/grpcreversebridge"
	"github.com/attache-mesh/attache/proxy/filter/grpcstats"
	"github.com/attache-mesh/attache/proxy/filter/grpcweb"
	"github.com/attache-mesh/attache/proxy/filter/headermutation"
	"github.com/attache-mesh/attache/proxy/filter/headertometadata"
	"github.com/attache-mesh/attache/proxy/filter/healthcheck"
	"github.com/attache-mesh/attache/proxy/filter/jsontranscoder"
	"github.com/attache-mesh/attache/proxy/filter/jwtauthn"
	"github.com/attache-mesh/attache/proxy/filter/localratelimit"
	"github.com/attache-mesh/attache/proxy/filter/lua"
	"github.com/attache-mesh/attache/proxy/filter/matched"
	"github.com/attache-mesh/attache/proxy/filter/ondemand"
	"github.com/attache-mesh/attache/proxy/filter/ratelimit"
	"github.com/attache-mesh/attache/proxy/filter/rbac"
	"github.com/attache-mesh/attache/proxy/filter/setfilterstate"
	"github.com/attache-mesh/attache/proxy/filter/setmetadata"
	"github.com/attache-mesh/attache/proxy/filter/statefulsession"
	"github.com/attache-mesh/attache/proxy/filter/wasm"
	"github.com/attache-mesh/attache/proxy/httpproxy"
	"github.com/attache-mesh/attache/proxy/stats"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// compiled is a connection manager, and its filters; of none nothing.
type compiled struct {
	asked  *config.HTTP
	chains httpproxy.Chains
}

// chains compiles the filters of a connection manager; those that before has stay.
func (a *update) chains(h *config.HTTP, before compiled) (c httpproxy.Chains, err error) {
	env := a.filterEnv("http." + h.StatPrefix + ".")
	old := before.asked
	if old == nil {
		old = &config.HTTP{}
	}
	if c.Main, err = chainAfter(h.Filters, env, old.Filters, before.chains.Main); err != nil {
		return c, err
	}
	if c.Tries, err = chainAfter(h.TryFilters, env, old.TryFilters, before.chains.Tries); err != nil {
		return c, err
	}
	for i, u := range h.UpgradeFilters {
		own := httpproxy.UpgradeChain{Type: u.Type}
		var were []config.HTTPFilter
		var was *filter.Chain
		if i < len(before.chains.Upgrades) {
			were, was = old.UpgradeFilters[i].Filters, before.chains.Upgrades[i].Chain
		}
		if own.Chain, err = chainAfter(u.Filters, env, were, was); err != nil {
			return c, err
		}
		c.Upgrades = append(c.Upgrades, own)
	}
	return c, nil
}

func (a *update) filterEnv(prefix string) filter.Env {
	env := filter.Env{Prefix: prefix, Workers: len(a.workers), Cluster: a.Cluster, Wall: a.o.Wall, Failed: a.failing.Load, Desk: a.desk}
	if env.Wall == nil {
		env.Wall = time.Now
	}
	return env
}

// filtersOf compiles what each request to a host of a cluster passes; before is the
// living cluster, nil if there is none: what has not changed stays.
func (a *update) filtersOf(before *upstream.Cluster, asked *config.Cluster) (any, error) {
	if before != nil && reflect.DeepEqual(before.Config().HTTP.Filters, asked.HTTP.Filters) {
		return before.Filtered(), nil
	}
	name := asked.Name
	if asked.AltStatName != "" {
		name = asked.AltStatName
	}
	c, err := chain(asked.HTTP.Filters, a.filterEnv("cluster."+stats.Clean(name)+"."))
	if c == nil || err != nil {
		return nil, err
	}
	return c, nil
}

func chain(filters []config.HTTPFilter, env filter.Env) (*filter.Chain, error) {
	return chainAfter(filters, env, nil, nil)
}

// chainAfter compiles filters; those stay that are the same at the same place of the chain
// before, was, which was compiled from were.
func chainAfter(filters []config.HTTPFilter, env filter.Env, were []config.HTTPFilter, was *filter.Chain) (*filter.Chain, error) {
	var places []filter.Place
	group := &compress.Group{}
	for i := range filters {
		if p, ok := was.Place(i); ok && were[i].Config == filters[i].Config && were[i].Name == filters[i].Name {
			p.Disabled = filters[i].Disabled
			places = append(places, p)
			continue
		}
		p, err := place(&filters[i], env, group)
		if err != nil {
			return nil, fmt.Errorf("filter %s: %w", filters[i].Name, err)
		}
		places = append(places, p)
	}
	return filter.NewChain(places), nil
}

// place compiles one filter. The one switch over the kinds of filter.
func place(c *config.HTTPFilter, env filter.Env, group *compress.Group) (p filter.Place, err error) {
	p.Name, p.Disabled = c.Name, c.Disabled
	switch cfg := c.Config.(type) {
	case *config.NoFilterConfig:
		p.Filter = filter.Unconfigured{}
	case *config.AdaptiveConcurrency:
		p.Filter = adaptive.New(cfg, env)
	case *config.AdmissionControl:
		p.Filter = admission.New(cfg, env)
	case *config.APIKeyAuth:
		p.Filter, p.Own = apikeyauth.New(cfg, env), apikeyauth.Own
	case *config.BandwidthLimit:
		p.Filter, p.Own = bandwidthlimit.New(cfg, env), bandwidthlimit.Own(env)
	case *config.BasicAuth:
		p.Filter, p.Own = basicauth.New(cfg, env), basicauth.Own
	case *config.Buffer:
		p.Filter, p.Own = buffer.New(cfg), buffer.Own
	case *config.ExtAuthz:
		p.Filter, p.Own = extauthz.New(cfg, env), extauthz.Own
	case *config.ExtProc:
		p.Filter, p.Own = extproc.New(cfg, env), extproc.Own
	case *config.JWT:
		p.Own = jwtauthn.Own
		p.Filter, err = jwtauthn.New(cfg, env)
	case *config.Compressor:
		p.Filter, p.Own = compress.New(cfg, env, group), compress.Own
	case *config.CORS:
		p.Filter, p.Own = cors.New(env), cors.Own
	case *config.CSRF:
		p.Filter, p.Own = csrf.New(cfg, env), csrf.Own
	case *config.CustomResponse:
		p.Filter, p.Own = customresponse.New(cfg, env), customresponse.Own
	case *config.Decompressor:
		p.Filter = decompress.New(cfg, env)
	case *config.DynamicForward:
		p.Filter, p.Own = dynamicforward.New(cfg), dynamicforward.Own
	case *config.Fault:
		p.Filter, p.Own = fault.New(c.Name, cfg, env), fault.Own
	case *config.HeaderMutationFilter:
		p.Filter, p.Own = headermutation.New(cfg), headermutation.Own
	case *config.HeaderToMetadata:
		p.Filter, p.Own = headertometadata.New(cfg), headertometadata.Own
	case *config.HealthCheckFilter:
		p.Filter = healthcheck.New(cfg, env)
	case *config.Lua:
		var f *lua.Filter
		if f, err = lua.New(c.Name, cfg, env); err == nil {
			p.Filter, p.Own = f, f.Own
		}
	case *config.LocalRateLimit:
		p.Filter, p.Own = localratelimit.New(cfg, env), localratelimit.Own(env)
	case *config.GRPCBridge:
		p.Filter = grpchttp1bridge.New(cfg)
	case *config.GRPCReverseBridge:
		p.Filter, p.Own = grpcreversebridge.New(cfg), grpcreversebridge.Own
	case *config.GRPCStats:
		p.Filter = grpcstats.New(cfg, env)
	case *config.GRPCWeb:
		p.Filter = grpcweb.New()
	case *config.RateLimitFilter:
		p.Filter, p.Own = ratelimit.New(cfg, env), ratelimit.Own
	case *config.Composite:
		p.Filter = matched.Composite{}
	case *config.Matched:
		return matchedPlace(c, cfg, env, group)
	case *config.OnDemand:
		p.Filter, p.Own = ondemand.New(cfg, env), ondemand.Own
	case *config.RBAC:
		p.Filter, p.Own = rbac.New(cfg, env), rbac.Own
	case *config.SetFilterState:
		p.Filter, p.Own = setfilterstate.New(cfg), setfilterstate.Own
	case *config.SetMetadata:
		p.Filter = setmetadata.New(cfg, env)
	case *config.Transcoder:
		p.Own = jsontranscoder.Own
		p.Filter, err = jsontranscoder.New(cfg)
	case *config.StatefulSession:
		p.Filter, p.Own = statefulsession.New(cfg, env), statefulsession.Own
	case *config.Wasm:
		p.Filter, err = wasm.New(cfg, env)
	default:
		err = fmt.Errorf("no filter is made of %T", cfg)
	}
	return p, err
}
