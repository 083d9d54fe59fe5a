package config

// Clusters of a snapshot, with their endpoints.

func (a *assembly) addClusters(clusters []*Cluster, endpoints map[string]*Endpoints) {
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
		if k := a.cluster(c, a.before.clusters[c.Name], endpoints); k != nil {
			a.putCluster(k)
		}
	}
}

// cluster gives what stands for c: itself, its predecessor, or nothing.
func (a *assembly) cluster(c *Cluster, old *cluster, endpoints map[string]*Endpoints) *cluster {
	var e *Endpoints
	if c.Discovery == DiscoveryEDS {
		if e = endpoints[c.EDSName]; e == nil {
			a.wait(clusterName(c.Name), endpointsName(c.EDSName))
			a.waiting[c.Name] = old == nil
			return old
		}
	}
	known := old != nil && same(old.asked, c)
	if known && old.endpoints == e {
		return old
	}
	k := join(c, e)
	was := uint64(0)
	if old != nil {
		was = old.entries
	}
	if sum := a.entries - was + k.entries; k.entries > was && sum > maxEntries {
		a.refuse(culprit(c, known), "a hash table of %d entries: with those of the clusters before it there would be %d, at most %d are allowed",
			k.entries, sum, uint64(maxEntries))
		return old
	}
	a.entries += k.entries - was
	return k
}

// culprit names what a refusal is about: the endpoints, if the cluster itself is
// as before.
func culprit(c *Cluster, known bool) string {
	if known && c.Discovery == DiscoveryEDS {
		return endpointsName(c.EDSName)
	}
	return clusterName(c.Name)
}

// join puts a cluster together with the endpoints that it names.
func join(c *Cluster, e *Endpoints) *cluster {
	k := &cluster{value: c, asked: c, endpoints: e}
	if e != nil {
		whole := *c
		whole.Endpoints = *e
		k.value = &whole
	}
	k.entries = tableEntries(k.value)
	return k
}

func (a *assembly) putCluster(k *cluster) {
	a.s.clusters[k.value.Name] = k
	a.s.Clusters = append(a.s.Clusters, k.value)
}
