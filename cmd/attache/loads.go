package main

// What clusters were asked, for load reports.

import (
	"cmp"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/stats"
	"github.com/attache-mesh/attache/proxy/upstream"
	"github.com/attache-mesh/attache/xds/client/loadreport"
)

// loads counts what the clusters of which keep says yes were asked.
func (p *program) loads(keep func(string) bool) (all []loadreport.Cluster) {
	overflow, overload := p.dropped(".upstream_rq_pending_overflow"), p.dropped(".upstream_rq_drop_overload")
	for _, c := range p.server.Clusters() {
		if !keep(c.Name) {
			continue
		}
		asked := c.Config()
		scope := "cluster." + stats.Clean(cmp.Or(asked.AltStatName, c.Name))
		l := loadreport.Cluster{Name: c.Name, Service: asked.EDSName, Dropped: overflow[scope] + overload[scope], Overload: overload[scope], Category: asked.Endpoints.DropCategory}
		for e := range c.Entries {
			l.Hosts = append(l.Hosts, p.hostLoad(e))
		}
		all = append(all, l)
	}
	return all
}

func (p *program) hostLoad(e upstream.Entry) loadreport.Host {
	n := p.server.HostFigures(e.Host)
	var metrics map[string]loadreport.Metric
	e.Host.LoadMetrics(func(name string, m upstream.LoadMetric) {
		if metrics == nil {
			metrics = map[string]loadreport.Metric{}
		}
		metrics[name] = loadreport.Metric{Requests: m.Requests, Total: m.Total}
	})
	return loadreport.Host{
		Metrics: metrics,
		Address: protoAddress(e.Address), Key: e.Address.String(),
		Region: e.Locality.Region, Zone: e.Locality.Zone, SubZone: e.Locality.SubZone, Priority: e.Locality.Priority,
		Issued: n.RqTotal, Success: n.RqSuccess, Error: n.RqError, InProgress: uint64(max(e.Active, 0)),
	}
}

// dropped are the requests that were turned away, as a statistic of clusters says, by the
// cluster's scope.
func (p *program) dropped(stat string) map[string]uint64 {
	all := map[string]uint64{}
	for _, row := range p.server.Figures().Rows() {
		if scope, ok := strings.CutSuffix(row.Name, stat); ok {
			all[scope] += row.Value
		}
	}
	return all
}

func protoAddress(a config.Address) *corev3.Address {
	if a.Path != "" {
		return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: a.Path}}}
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: a.IP.Addr().String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(a.IP.Port())},
	}}}
}
