package envoyv3

// Our memcached proxy filter.

import (
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	memcachedv1 "github.com/attache-mesh/attache/xds/api/attache/filters/network/memcached_proxy/v1"
)

// Bounds of memcached_proxy. A key of memcached's text protocol has at most 250
// bytes (memcached doc/protocol.txt, "Keys").
const (
	maxKey          = 250
	maxValue        = 1 << 30
	defaultMaxValue = 1 << 20
	defaultOp       = time.Second
)

func (d *decoder) memcached(p path, m *memcachedv1.MemcachedProxy) *config.Memcached {
	s, ps := m.GetSettings(), p.dot("settings")
	c := &config.Memcached{
		StatPrefix:        m.GetStatPrefix(),
		OpTimeout:         d.positive(ps.dot("op_timeout"), s.GetOpTimeout(), defaultOp),
		EnableHashtagging: s.GetEnableHashtagging(),
		MaxKeyBytes:       orUint32(s.GetMaxKeyBytes(), maxKey),
		MaxValueBytes:     orUint32(s.GetMaxValueBytes(), defaultMaxValue),
		MissOnFailure:     s.GetOnFailure() == memcachedv1.MemcachedProxy_Settings_MISS,
	}
	d.required(p.dot("stat_prefix"), c.StatPrefix)
	if c.MaxKeyBytes < 1 || c.MaxKeyBytes > maxKey {
		d.refuse(ps.dot("max_key_bytes"), "must be 1 to %d", maxKey)
	}
	if c.MaxValueBytes > maxValue {
		d.refuse(ps.dot("max_value_bytes"), "must be at most %d (1 GiB)", maxValue)
	}
	if _, known := memcachedv1.MemcachedProxy_Settings_OnFailure_name[int32(s.GetOnFailure())]; !known {
		d.refuse(ps.dot("on_failure"), "must be ERROR or MISS")
	}
	d.prefixRoutes(p.dot("prefix_routes"), m.GetPrefixRoutes(), c)
	return c
}

func (d *decoder) prefixRoutes(p path, m *memcachedv1.MemcachedProxy_PrefixRoutes, c *config.Memcached) {
	seen := map[string]int{}
	for i, r := range m.GetRoutes() {
		c.Routes = append(c.Routes, d.prefixRoute(p.dot("routes").at(i), r))
		if j, double := seen[r.GetPrefix()]; double {
			d.refuse(p.dot("routes").at(i).dot("prefix"), "%q is also the prefix of routes[%d]", r.GetPrefix(), j)
		}
		seen[r.GetPrefix()] = i
	}
	if r := m.GetCatchAllRoute(); r != nil {
		p := p.dot("catch_all_route")
		d.required(p.dot("cluster"), r.GetCluster())
		if r.GetPrefix() != "" || r.GetRemovePrefix() {
			d.refuse(p, "only cluster may be set: the catch-all route has no prefix")
		}
		c.CatchAll = r.GetCluster()
	}
	if len(c.Routes) == 0 && c.CatchAll == "" {
		d.refuse(p, "routes or catch_all_route is required")
	}
}

func (d *decoder) prefixRoute(p path, r *memcachedv1.MemcachedProxy_PrefixRoutes_Route) config.PrefixRoute {
	d.required(p.dot("cluster"), r.GetCluster())
	if len(r.GetPrefix()) > maxKey || strings.ContainsFunc(r.GetPrefix(), notInKey) {
		d.refuse(p.dot("prefix"), "at most %d bytes without white space and control characters", maxKey)
	}
	return config.PrefixRoute{Prefix: r.GetPrefix(), RemovePrefix: r.GetRemovePrefix(), Cluster: r.GetCluster()}
}

func notInKey(r rune) bool { return r <= ' ' || r == 0x7f }
