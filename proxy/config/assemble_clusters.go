package config

// Clusters of a snapshot, with their endpoints.

import (
	"math"
	"slices"
)

// joinClusters puts the clusters together from what is asked for.
func (a *assembly) joinClusters(now *Resources) {
	told := len(a.problems) + len(a.pending)
	a.s.clusters = make(map[string]*cluster, len(now.Clusters))
	a.endpoints = byName(a, now.Endpoints, "endpoints", func(e *Endpoints) string { return e.Cluster })
	a.lists = byName(a, now.Collections, "collection", func(c *Collection) string { return c.Name })
	a.addClusters(now.Clusters)
	o := &origin{clusters: now.Clusters, endpoints: now.Endpoints, lists: now.Collections, secrets: now.Secrets}
	o.whole = told == len(a.problems)+len(a.pending)
	a.s.from = o
}

func (a *assembly) addClusters(clusters []*Cluster) {
	seen := make(map[string]bool, len(clusters))
	for _, c := range clusters { // what stands now is paid for first
		if old := a.before.clusters[c.Name]; old != nil && !seen[c.Name] {
			a.entries += old.entries
		}
		seen[c.Name] = true
	}
	clear(seen)
	for _, c := range clusters {
		if seen[c.Name] {
			a.refuse(clusterName(c.Name), "cluster manager: duplicate cluster '%s'", c.Name)
			continue
		}
		seen[c.Name] = true
		if k := a.cluster(c, a.before.clusters[c.Name]); k != nil {
			a.putCluster(k)
		}
	}
}

// cluster gives what stands for c: itself, its predecessor, or nothing.
func (a *assembly) cluster(c *Cluster, old *cluster) *cluster {
	k := &cluster{value: c, asked: c}
	for t := range c.contexts {
		if stand, waits := a.secretsStand(clusterName(c.Name), t); !stand {
			a.waiting[c.Name] = waits && old == nil
			return old
		}
	}
	if missing := a.gather(k); missing != "" {
		a.wait(clusterName(c.Name), missing)
		a.waiting[c.Name] = old == nil
		return old
	}
	if old == nil {
		old = &cluster{}
	}
	known := old.asked != nil && same(old.asked, c)
	if known && old.endpoints == k.endpoints && slices.Equal(old.lists, k.lists) {
		return old
	}
	k.join()
	if k.refused(a, culprit(old, k, known), old.entries) {
		if old.value == nil {
			return nil
		}
		return old
	}
	a.entries += k.entries - old.entries
	return k
}

// gather finds the endpoints of an EDS cluster, or says what is missing.
func (a *assembly) gather(k *cluster) (missing string) {
	if k.asked.Discovery != DiscoveryEDS {
		return ""
	}
	if k.endpoints = a.endpoints[k.asked.EDSName]; k.endpoints == nil {
		return endpointsName(k.asked.EDSName)
	}
	for i := range k.endpoints.Localities {
		name := k.endpoints.Localities[i].Collection
		if name == "" {
			continue
		}
		list := a.lists[name]
		if list == nil {
			return listName(name)
		}
		k.lists = append(k.lists, list)
	}
	return ""
}

// join puts the cluster together from what was gathered.
func (k *cluster) join() {
	if k.endpoints != nil {
		whole := *k.asked
		whole.Endpoints = *k.endpoints
		if len(k.lists) > 0 {
			whole.Endpoints.Localities = slices.Clone(whole.Endpoints.Localities)
		}
		at := 0
		for i := range whole.Endpoints.Localities {
			if l := &whole.Endpoints.Localities[i]; l.Collection != "" {
				l.Endpoints = k.lists[at].Endpoints
				at++
			}
		}
		k.value = &whole
	}
	k.entries = tableEntries(k.value)
}

// refused reports what is too much: weights, or hash tables beside those of the
// other clusters and in place of one of was entries.
func (k *cluster) refused(a *assembly, resource string, was uint64) bool {
	for _, list := range k.lists {
		sum := uint64(0)
		for _, e := range list.Endpoints {
			sum += uint64(e.Weight)
		}
		if sum > math.MaxUint32 {
			a.refuse(listName(list.Name), "The sum of weights of all upstream hosts in a locality exceeds %d", uint32(math.MaxUint32))
			return true
		}
	}
	if sum := a.entries - was + k.entries; k.entries > was && sum > maxEntries {
		a.refuse(resource, "a hash table of %d entries: with those of the clusters before it there would be %d, at most %d are allowed",
			k.entries, sum, uint64(maxEntries))
		return true
	}
	return false
}

// culprit names what a refusal is about: what has changed last in the order of
// cluster, endpoints, collection.
func culprit(old, k *cluster, known bool) string {
	switch {
	case !known:
		return clusterName(k.asked.Name)
	case old.endpoints != k.endpoints:
		return endpointsName(k.asked.EDSName)
	}
	for i, list := range k.lists {
		if old.lists[i] != list {
			return listName(list.Name)
		}
	}
	return clusterName(k.asked.Name)
}

func (a *assembly) putCluster(k *cluster) {
	a.s.clusters[k.value.Name] = k
	a.s.Clusters = append(a.s.Clusters, k.value)
}
