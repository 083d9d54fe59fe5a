package config

import "time"

// Demand is what a request lacks, and a control plane may have: asked for when the
// first request wants it.
type Demand struct {
	Kind DemandKind
	// Table is the route table of DemandHost.
	Table string
	// Name is that of the cluster or route table, or the host, in lower case.
	Name string
	// Source is where it comes from. Not changed.
	Source *Source
	// Timeout bounds the wait; greater than 0.
	Timeout time.Duration
}

// DemandKind says what is asked for.
type DemandKind uint8

// The kinds of demand.
const (
	DemandCluster DemandKind = iota // by CDS (ODCDS)
	DemandHost                      // a virtual host, by VHDS
	DemandTable                     // a route table of a scope, by RDS
)

var demandNames = [...]string{"cluster", "virtual host", "route table"}

// String is what one is called in messages.
func (k DemandKind) String() string { return demandNames[k] }

// DemandKey tells demands apart.
type DemandKey struct {
	Kind        DemandKind
	Table, Name string
}

// Key is what tells d from other demands.
func (d *Demand) Key() DemandKey { return DemandKey{d.Kind, d.Table, d.Name} }

// Patience is how long a request waits for what comes from s: as long as whoever needs
// it at the start does, and never for ever.
func (s *Source) Patience() time.Duration {
	const longest = 15 * time.Second
	if s.InitialFetchTimeout <= 0 {
		return longest
	}
	return s.InitialFetchTimeout
}

// OnDemand is the filter that has requests wait for what they lack
// (filters.http.on_demand.v3.OnDemand and PerRouteConfig).
type OnDemand struct {
	Clusters *ClusterDemand // nil: clusters are not asked for
}

// ClusterDemand says where clusters are asked for that are not there (OnDemandCds).
type ClusterDemand struct {
	Source  Source
	Timeout time.Duration // default 5 s
}

// DemandSources yields where the requests of l may ask for more.
func (l *Listener) DemandSources(yield func(*Source) bool) {
	for h := range l.Handlers {
		switch h := h.(type) {
		case *HTTP:
			if !h.demandSources(yield) {
				return
			}
		case *TCP:
			if h.OnDemand != nil && !yield(&h.OnDemand.Source) {
				return
			}
		}
	}
}

func (h *HTTP) demandSources(yield func(*Source) bool) bool {
	chains := [][]HTTPFilter{h.Filters}
	for i := range h.UpgradeFilters {
		chains = append(chains, h.UpgradeFilters[i].Filters)
	}
	for _, filters := range chains {
		for i := range filters {
			if !demandSource(filters[i].Config, yield) {
				return false
			}
		}
	}
	if h.Routes != nil && !h.Routes.demandSources(yield) {
		return false
	}
	if h.Scopes != nil {
		for _, s := range h.Scopes.Inline {
			if s.Routes != nil && !s.Routes.demandSources(yield) {
				return false
			}
		}
	}
	return true
}

func (t *RouteTable) demandSources(yield func(*Source) bool) bool {
	if t.VHDS != nil && !yield(t.VHDS) {
		return false
	}
	levels := [][]FilterOverride{t.Filters}
	for _, v := range t.VirtualHosts {
		levels = append(levels, v.Filters)
		for _, r := range v.Routes {
			levels = append(levels, r.Filters)
		}
	}
	for _, level := range levels {
		for i := range level {
			if !demandSource(level[i].Config, yield) {
				return false
			}
		}
	}
	return true
}

// demandSource yields that of a filter that has one.
func demandSource(filter any, yield func(*Source) bool) bool {
	o, ok := filter.(*OnDemand)
	return !ok || o.Clusters == nil || yield(&o.Clusters.Source)
}
