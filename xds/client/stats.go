package client

// What was counted, under Envoy's names where it has them
// (docs/root/configuration/overview/mgmt_server.rst).

import (
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/stats"
)

// figures are those of a subscription: of a kind, or of one resource.
type figures struct {
	attempt, success, failure, rejected, timeouts uint64
	conflicts                                     uint64
	time                                          time.Time // of the last success
}

// counts are those of the whole client.
type counts struct {
	connects, failures, refusedWhole, applied uint64
}

// Stats adds the client's rows to sum.
func (c *Client) Stats(sum *stats.Sum) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.controlPlaneStats(sum, now)
	c.cacheStats(sum, now)
	for k, scope := range map[kind]string{cds: "cluster_manager.cds", lds: "listener_manager.lds", rtds: "runtime.rtds", eds: "xds.eds", leds: "xds.leds", srds: "xds.srds", rds: "xds.rds", sds: "xds.sds", ecds: "xds.ecds"} {
		s := &c.world[k]
		if s.asked || len(s.entries) > 0 || s.figures.attempt > 0 {
			f := s.figures
			for _, e := range s.entries {
				f.timeouts += e.figures.timeouts
			}
			f.add(sum, scope)
			addVersion(sum, scope, s.version)
			sum.Add(scope+".resources", stats.Gauge, uint64(len(s.entries)))
		}
	}
	c.secretStats(sum)
	c.resourceStats(sum)
}

func (c *Client) controlPlaneStats(sum *stats.Sum, now time.Time) {
	streams, connected, identity, waiting := 0, 0, "", 0
	for _, f := range c.feeds {
		if f.machine == nil {
			continue
		}
		streams++
		if f.connected {
			connected++
		}
		if f.identity != "" {
			identity = f.identity
		}
	}
	for _, t := range c.waiting {
		waiting += len(t.update.Resources)
	}
	if streams == 0 && len(c.feeds) == 0 {
		return
	}
	const scope = "control_plane."
	sum.Add(scope+"connected_state", stats.Gauge, flag(streams > 0 && connected == streams))
	sum.Add(scope+"streams", stats.Gauge, uint64(streams))
	sum.Add(scope+"connected_streams", stats.Gauge, uint64(connected))
	sum.Add(scope+"connect_total", stats.Counter, c.count.connects)
	sum.Add(scope+"connect_fail", stats.Counter, c.count.failures)
	sum.Add(scope+"responses_refused_whole", stats.Counter, c.count.refusedWhole)
	sum.Add(scope+"pending_resources", stats.Gauge, uint64(waiting))
	sum.Add(scope+"config_age_seconds", stats.Gauge, uint64(c.age(now)/time.Second))
	sum.Say(scope+"identifier", identity)
	sum.Say(scope+"config_source", c.configSource())
	sum.Add("xds.applied", stats.Counter, c.count.applied)
	refused := 0
	for k := range c.world {
		for _, e := range c.world[k].entries {
			if e.refused != nil {
				refused++
			}
		}
	}
	sum.Add("xds.refused_resources", stats.Gauge, uint64(refused))
	sum.Add("xds.warming_resources", stats.Gauge, uint64(len(c.pending)))
	if c.snapshot != nil {
		sum.Add("xds.kept_clusters", stats.Gauge, uint64(len(c.snapshot.Kept)))
	}
}

func (c *Client) cacheStats(sum *stats.Sum, now time.Time) {
	if c.o.Cache == nil {
		return
	}
	d := &c.disk
	sum.Add("config_cache.in_use", stats.Gauge, flag(c.configSource() == "disk"))
	sum.Add("config_cache.refused", stats.Gauge, flag(d.refusal != ""))
	sum.Add("config_cache.write_failed", stats.Gauge, flag(d.failed != ""))
	sum.Add("config_cache.secret_resources_left_out", stats.Gauge, uint64(d.skipped))
	if at := later(d.last, d.savedAt); !at.IsZero() {
		sum.Add("config_cache.age_seconds", stats.Gauge, uint64(max(0, now.Sub(at))/time.Second))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// resourceStats are those of single resources: endpoints under each cluster that
// uses them, route tables under each connection manager.
func (c *Client) resourceStats(sum *stats.Sum) {
	if c.snapshot == nil {
		return
	}
	for _, cluster := range c.snapshot.Clusters {
		if cluster.Discovery == config.DiscoveryEDS {
			scope := "cluster." + stats.Clean(cluster.Name)
			if cluster.AltStatName != "" {
				scope = "cluster." + stats.Clean(cluster.AltStatName)
			}
			e := c.world[eds].entries[cluster.EDSName]
			e.add(sum, scope)
			if e != nil {
				sum.Add(scope+".assignment_timeout_received", stats.Counter, e.stale.timeouts)
				sum.Add(scope+".assignment_stale", stats.Counter, e.stale.times)
			}
		}
	}
	for name, e := range c.world[ecds].entries {
		for k, named := range c.filters[name].kinds {
			if !named {
				continue
			}
			scope := "extension_config_discovery." + config.FilterKinds[k] + "." + stats.Clean(name)
			e.add(sum, scope)
			sum.Add(scope+".config_reload", stats.Counter, e.figures.success)
			sum.Add(scope+".config_fail", stats.Counter, e.figures.rejected+e.figures.timeouts)
			sum.Add(scope+".config_conflict", stats.Counter, e.figures.conflicts)
		}
	}
	for _, l := range c.snapshot.Listeners {
		for h := range l.Handlers {
			if h, ok := h.(*config.HTTP); ok && h.Routes == nil {
				c.world[rds].entries[h.RouteTableName].add(sum, "http."+stats.Clean(h.StatPrefix)+".rds."+stats.Clean(h.RouteTableName))
			}
		}
	}
}

// secretStats are those of each secret, under its name: of those by SDS what their
// subscription says, and of all how often their files changed, for good and bad.
func (c *Client) secretStats(sum *stats.Sum) {
	for key, h := range c.held {
		scope := "sds." + stats.Clean(h.spec.Name)
		c.world[sds].entries[key].add(sum, scope)
		sum.Add(scope+".rotations", stats.Counter, h.rotations)
		sum.Add(scope+".key_rotation_failed", stats.Counter, h.failures)
	}
	for key, e := range c.world[sds].entries {
		if c.held[key] == nil {
			e.add(sum, "sds."+stats.Clean(wireName(sds, key)))
		}
	}
}

// add adds a resource's rows; of one that is not asked for there are none.
func (e *entry) add(sum *stats.Sum, scope string) {
	if e == nil {
		return
	}
	f := e.figures
	f.attempt = max(f.attempt, f.success+f.rejected+f.timeouts) // requests are counted of polls alone
	f.add(sum, scope)
	if e.now != nil {
		addVersion(sum, scope, e.now.version)
	}
}

func (f *figures) add(sum *stats.Sum, scope string) {
	sum.Add(scope+".update_attempt", stats.Counter, f.attempt)
	sum.Add(scope+".update_success", stats.Counter, f.success)
	sum.Add(scope+".update_failure", stats.Counter, f.failure)
	sum.Add(scope+".update_rejected", stats.Counter, f.rejected)
	sum.Add(scope+".init_fetch_timeout", stats.Counter, f.timeouts)
	if !f.time.IsZero() {
		sum.Add(scope+".update_time", stats.Gauge, uint64(f.time.UnixMilli()))
	}
}

// addVersion adds the hash of a version, as Envoy does, and its text.
func addVersion(sum *stats.Sum, scope, version string) {
	if version == "" {
		return
	}
	sum.Add(scope+".version", stats.Gauge, xxhash.Sum64String(version))
	sum.Say(scope+".version_text", short(version))
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
