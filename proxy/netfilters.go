package proxy

import (
	"fmt"
	"reflect"
	"time"
	"weak"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/filter/connectionlimit"
	"github.com/attache-mesh/attache/proxy/filter/extauthz"
	"github.com/attache-mesh/attache/proxy/filter/localratelimit"
	"github.com/attache-mesh/attache/proxy/filter/rbac"
	"github.com/attache-mesh/attache/proxy/filter/setfilterstate"
	"github.com/attache-mesh/attache/proxy/filter/snicluster"
	"github.com/attache-mesh/attache/proxy/filter/sniforward"
	"github.com/attache-mesh/attache/proxy/listener"
	"github.com/attache-mesh/attache/proxy/netfilter"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// netFilters compiles what connections pass before their room; nil for nothing. Those stay that
// are the same at the same place of the chain before, was, which was compiled from were. What
// last have counted is to be remembered.
func (a *update) netFilters(all []config.NetworkFilter, place *streaminfo.Place, were []config.NetworkFilter, was *netfilter.Chain) (c *netfilter.Chain, last []netfilter.Counter, err error) {
	if len(all) == 0 {
		return nil, nil, nil
	}
	env := netfilter.Env{Workers: len(a.workers), Cluster: a.Cluster, Wall: a.o.Wall}
	if env.Wall == nil {
		env.Wall = time.Now
	}
	var filters []netfilter.Filter
	for i := range all {
		f := was.At(i)
		if f == nil || i >= len(were) || !reflect.DeepEqual(were[i].Config, all[i].Config) {
			if f, err = a.netFilter(all[i].Config, env); err != nil {
				return nil, nil, fmt.Errorf("network filter %s: %w", all[i].Name, err)
			}
		}
		filters = append(filters, f)
	}
	c, last = was.Follow(filters, place)
	return c, last, nil
}

// netFilter compiles one. The one switch over the kinds of network filter.
func (a *update) netFilter(cfg any, env netfilter.Env) (netfilter.Filter, error) {
	switch cfg := cfg.(type) {
	case *config.NoFilterConfig:
		return unconfigured{}, nil
	case *config.ConnectionLimit:
		return connectionlimit.New(cfg, env), nil
	case *config.ConnectionRateLimit:
		return localratelimit.NewConnections(cfg, a.buckets.of(cfg), env), nil
	case *config.ConnectionRBAC:
		return rbac.NewConnections(cfg, env), nil
	case *config.ConnectionAuthz:
		return extauthz.NewConnections(cfg, env), nil
	case *config.SetConnectionState:
		return setfilterstate.NewConnections(cfg, env), nil
	case *config.SNIForward:
		return sniforward.New(cfg), nil
	case *config.SNICluster:
		return snicluster.Filter{}, nil
	}
	return nil, fmt.Errorf("no network filter is made of %T", cfg)
}

// unconfigured keeps the place of a filter without a configuration: no connection comes to it
// (listener.Chain.Unconfigured).
type unconfigured struct{}

// buckets are those that filters share by a key, as long as one of them stands
// (SharedRateLimitSingleton). Server.mu guards them.
type buckets map[sharedBucket]weak.Pointer[filter.Bucket]

type sharedBucket struct {
	key  string
	size config.TokenBucket
}

// of gives the bucket that a filter takes from.
func (b *buckets) of(cfg *config.ConnectionRateLimit) *filter.Bucket {
	if cfg.ShareKey == "" {
		return localratelimit.NewBucket(&cfg.Bucket)
	}
	key := sharedBucket{cfg.ShareKey, cfg.Bucket}
	if own := (*b)[key].Value(); own != nil {
		return own
	}
	for k, p := range *b {
		if p.Value() == nil {
			delete(*b, k)
		}
	}
	if *b == nil {
		*b = buckets{}
	}
	own := localratelimit.NewBucket(&cfg.Bucket)
	(*b)[key] = weak.Make(own)
	return own
}

// acceptLimits are the limits of a listener: those that it had, if they are the same.
func (a *update) acceptLimits(asked *config.Listener, before *serving) (all []listener.Limit) {
	if before != nil && reflect.DeepEqual(before.asked.Limits, asked.Limits) {
		return before.Plan().Inspect.Limits
	}
	for i := range asked.Limits {
		if c := &asked.Limits[i]; !c.Off {
			all = append(all, listener.Limit{
				Name: c.StatPrefix, Bucket: localratelimit.NewBucket(&c.Bucket), Late: c.Late, Limited: filter.NewPerWorker[uint64](len(a.workers)),
			})
		}
	}
	return all
}
