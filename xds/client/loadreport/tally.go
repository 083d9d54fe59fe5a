package loadreport

// What was counted between two reports.

import (
	"cmp"
	"maps"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
)

// tally remembers the counts of the last report. A host that went away in
// between takes what it counted since with it.
type tally struct {
	byEndpoint bool
	hosts      map[hostKey]Host
	dropped    map[string]uint64
	overload   map[string]uint64
}

type hostKey struct{ cluster, host string }

// place is where hosts are counted together.
type place struct {
	region, zone, subZone string
	priority              uint32
}

// add takes the counts of now and gives what has been added since, of clusters
// and places where there was anything.
func (t *tally) add(clusters []Cluster) (all []*endpointv3.ClusterStats) {
	hosts, dropped, overload := map[hostKey]Host{}, map[string]uint64{}, map[string]uint64{}
	for _, c := range clusters {
		s := &endpointv3.ClusterStats{ClusterName: c.Name, ClusterServiceName: c.Service}
		if was, known := t.dropped[c.Name]; known && c.Dropped >= was {
			s.TotalDroppedRequests = c.Dropped - was
		}
		if was, known := t.overload[c.Name]; known && c.Overload > was {
			s.DroppedRequests = []*endpointv3.ClusterStats_DroppedRequests{{Category: c.Category, DroppedCount: c.Overload - was}}
		}
		dropped[c.Name], overload[c.Name] = c.Dropped, c.Overload
		places := map[place]*endpointv3.UpstreamLocalityStats{}
		for _, h := range c.Hosts {
			key := hostKey{c.Name, h.Key}
			hosts[key] = h
			if t.hosts == nil {
				continue // the first time: from here on it is counted
			}
			t.addHost(places, h, t.hosts[key])
		}
		for _, p := range places {
			s.UpstreamLocalityStats = append(s.UpstreamLocalityStats, p)
		}
		slices.SortFunc(s.UpstreamLocalityStats, byPlace)
		if len(places) > 0 || s.TotalDroppedRequests > 0 || len(s.DroppedRequests) > 0 {
			all = append(all, s)
		}
	}
	t.hosts, t.dropped, t.overload = hosts, dropped, overload
	return all
}

func (t *tally) addHost(places map[place]*endpointv3.UpstreamLocalityStats, now, was Host) {
	if now.Issued < was.Issued { // another host of the same address
		was = Host{}
	}
	issued, success, failed := now.Issued-was.Issued, now.Success-was.Success, now.Error-was.Error
	if issued == 0 && success == 0 && failed == 0 && now.InProgress == 0 {
		return
	}
	at := place{now.Region, now.Zone, now.SubZone, now.Priority}
	p := places[at]
	if p == nil {
		p = &endpointv3.UpstreamLocalityStats{
			Locality: &corev3.Locality{Region: now.Region, Zone: now.Zone, SubZone: now.SubZone}, Priority: now.Priority,
		}
		places[at] = p
	}
	p.TotalIssuedRequests += issued
	p.TotalSuccessfulRequests += success
	p.TotalErrorRequests += failed
	p.TotalRequestsInProgress += now.InProgress
	metrics := since(now.Metrics, was.Metrics)
	p.LoadMetricStats = addMetrics(p.LoadMetricStats, metrics)
	if t.byEndpoint {
		p.UpstreamEndpointStats = append(p.UpstreamEndpointStats, &endpointv3.UpstreamEndpointStats{
			Address: now.Address, TotalIssuedRequests: issued, TotalSuccessfulRequests: success,
			TotalErrorRequests: failed, TotalRequestsInProgress: now.InProgress,
			LoadMetricStats: addMetrics(nil, metrics),
		})
	}
}

// since is what has been added to the metrics of a host, by name.
func since(now, was map[string]Metric) map[string]Metric {
	added := map[string]Metric{}
	for name, m := range now {
		if b := was[name]; m.Requests > b.Requests {
			added[name] = Metric{m.Requests - b.Requests, m.Total - b.Total}
		}
	}
	return added
}

// addMetrics adds metrics to a list, which is in the order of their names.
func addMetrics(list []*endpointv3.EndpointLoadMetricStats, added map[string]Metric) []*endpointv3.EndpointLoadMetricStats {
	for _, name := range slices.Sorted(maps.Keys(added)) {
		m := added[name]
		i, found := slices.BinarySearchFunc(list, name, func(s *endpointv3.EndpointLoadMetricStats, n string) int { return cmp.Compare(s.MetricName, n) })
		if !found {
			list = slices.Insert(list, i, &endpointv3.EndpointLoadMetricStats{MetricName: name})
		}
		list[i].NumRequestsFinishedWithMetric += m.Requests
		list[i].TotalMetricValue += m.Total
	}
	return list
}

func byPlace(a, b *endpointv3.UpstreamLocalityStats) int {
	l, m := a.GetLocality(), b.GetLocality()
	return cmp.Or(cmp.Compare(a.GetPriority(), b.GetPriority()), cmp.Compare(l.GetRegion(), m.GetRegion()),
		cmp.Compare(l.GetZone(), m.GetZone()), cmp.Compare(l.GetSubZone(), m.GetSubZone()))
}
