package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/attache-mesh/attache/proxy"
	"github.com/attache-mesh/attache/proxy/admin"
	"github.com/attache-mesh/attache/proxy/stats"
	"github.com/attache-mesh/attache/proxy/upstream"
	"github.com/attache-mesh/attache/xds/bootstrap"
)

// views is what the operator sees of the program.
func (p *program) views(b *bootstrap.Bootstrap) admin.Views {
	v := admin.Views{
		About: admin.About{
			Version: version,
			Started: p.started, FirstStarted: p.restart.firstStarted(), HotRestart: p.f.restartVersion(),
			Node:    admin.Node(b.Node),
			Options: p.options(b),
		},
		State:      p.state,
		Lifecycle:  p.lifecycleView,
		Stats:      p.stats,
		Clusters:   p.clusters,
		Listeners:  p.listeners,
		ConfigDump: p.configDump,
		Certs:      p.server.Materials,
		Loggers: func() []admin.LoggerView {
			return []admin.LoggerView{{Name: "attache", Level: levelName(p.level.Level())}}
		},
		SetLogLevel: p.setLogLevel,
		ReopenLogs:  p.server.ReopenLogs,
		Drain:       p.drainListeners,
		Quit:        p.quit,
		SetHealthy:  func(healthy bool) { p.failing.Store(!healthy); p.server.FailHealthChecks(!healthy) },
		Explain:     p.server.Explain,
	}
	if p.client != nil {
		v.Config = p.client.Source
	}
	return v
}

func (p *program) state() admin.State {
	switch {
	case !p.ready.Load():
		return admin.Initializing
	case p.failing.Load() || p.server.Draining():
		return admin.Draining
	}
	return admin.Live
}

func (p *program) stats() []stats.Row {
	sum := p.server.Figures()
	sum.Add("server.uptime", stats.Gauge, uint64(time.Since(p.started)/time.Second))
	sum.Add("server.state", stats.Gauge, uint64(p.state()))
	live := uint64(0)
	if p.state() == admin.Live {
		live = 1
	}
	sum.Add("server.live", stats.Gauge, live)
	sum.Add("server.config_not_built", stats.Gauge, uint64(p.unbuilt))
	p.restart.addTo(sum)
	if p.client != nil {
		p.client.Stats(sum)
	}
	return sum.Rows()
}

func (p *program) listeners() (all []admin.ListenerView) {
	for name, addrs := range p.server.ListenerAddrs() {
		all = append(all, admin.ListenerView{Name: name, Addresses: addrs})
	}
	return all
}

func (p *program) setLogLevel(name, level string) bool {
	l, err := slogLevel(level)
	if err != nil || name != "" && name != "attache" {
		return false
	}
	p.level.Set(l)
	return true
}

// drainListeners is /drain_listeners: it returns at once. The program does not end with
// it, as in Envoy.
func (p *program) drainListeners(d admin.Drain) {
	which, once := proxy.Every, &p.drain
	if d.InboundOnly {
		which, once = proxy.Inbound, &p.drainInbound
	}
	switch {
	case !d.Graceful:
		go p.server.CloseListeners(which)
	case d.SkipExit:
		once.Do(func() { go p.server.DrainRooms(which) })
	default:
		once.Do(func() { go func() { _ = p.server.Drain(context.Background(), which, p.f.drainTime()) }() })
	}
}

// options is the command line as /server_info shows it.
func (p *program) options(*bootstrap.Bootstrap) map[string]any {
	o := map[string]any{
		"concurrency": p.f.concurrency,
		"config_path": p.f.configPath,
		"mode":        "Serve",
		"log_level":   p.f.logLevel,
		"drain_time":  strconv.Itoa(p.f.drainSeconds) + "s",
	}
	for name, value := range p.f.given {
		key := strings.ReplaceAll(name, "-", "_")
		if _, known := o[key]; !known && len(name) > 1 {
			o[key] = value
		}
	}
	p.restart.optionsOf(o)
	return o
}

// clusters are the living clusters, their hosts with what all workers counted.
func (p *program) clusters() []admin.ClusterView {
	var all []admin.ClusterView
	for _, c := range p.server.Clusters() {
		asked := c.Config()
		v := admin.ClusterView{
			Outlier: outlierView(c),
			Name:    c.Name, StatName: asked.AltStatName, Limits: asked.Breakers, AddedViaAPI: p.client != nil && p.client.Brought(c.Name),
		}
		for e := range c.Entries {
			v.Hosts = append(v.Hosts, hostView(e, p.server.HostFigures(e.Host)))
		}
		all = append(all, v)
	}
	return all
}

func outlierView(c *upstream.Cluster) *admin.OutlierView {
	average, threshold, on := c.SuccessRates(false)
	if !on {
		return nil
	}
	v := &admin.OutlierView{Average: average, Threshold: threshold}
	v.LocalAverage, v.LocalThreshold, _ = c.SuccessRates(true)
	return v
}

func hostView(e upstream.Entry, n upstream.HostCounters) admin.HostView {
	return admin.HostView{
		FailedCheck: e.Flags.Unfit, DegradedCheck: e.Flags.Degraded, LateCheck: e.Flags.Late,
		Pending: e.Flags.Pending, Excluded: e.Flags.Excluded, Leaving: e.Flags.Leaving,
		Ejected: e.Flags.Ejected, Rates: &[2]float64{e.SuccessRate, e.LocalSuccessRate},
		Address: e.Address, Hostname: e.Endpoint.Hostname, Health: e.Endpoint.Health,
		Weight: e.Endpoint.Weight, Priority: e.Locality.Priority,
		Region: e.Locality.Region, Zone: e.Locality.Zone, SubZone: e.Locality.SubZone, Canary: e.Endpoint.Canary,
		Stats: admin.HostStats{
			CxActive: uint64(max(e.Connected, 0)), CxConnectFail: e.Failed, CxTotal: e.Connections,
			RqActive: uint64(e.Active), RqTotal: n.RqTotal, RqSuccess: n.RqSuccess, RqError: n.RqError, RqTimeout: n.RqTimeout,
		},
	}
}
