package proxy

import (
	"maps"
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/parallel"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// openClusters brings the living clusters to what is asked. Those that are not
// asked for any more are no longer found by name; tables may still point to
// them, so that they are retired later.
func (a *update) openClusters() {
	if a.sameClusters() {
		return
	}
	living := maps.Clone(*a.clusters.Load())
	opened := make([]*upstream.Cluster, len(a.snap.Clusters))
	errs := make([]error, len(a.snap.Clusters))
	parallel.Do(len(errs), func(i int) {
		opened[i], errs[i] = a.openCluster(living[a.snap.Clusters[i].Name], a.snap.Clusters[i])
	})
	for i, c := range opened {
		name := a.snap.Clusters[i].Name
		switch {
		case errs[i] != nil:
			a.refuse("cluster "+name, errs[i])
		case c != nil:
			living[name] = c
		}
	}
	opened = slices.DeleteFunc(opened, func(c *upstream.Cluster) bool { return c == nil })
	for name, c := range living {
		if a.snap.Cluster(name) == nil {
			delete(living, name)
			a.gone = append(a.gone, c)
		}
	}
	a.regroup = len(opened)+len(a.gone) > 0
	if a.regroup {
		a.clusters.Store(&living)
	}
	a.linkClusters(living)
	a.unopened = len(a.problems) > 0
	a.await(opened)
}

// openCluster brings one to what is asked, or opens one if there is none. Nobody else
// has to do with the same one meanwhile.
func (a *update) openCluster(c *upstream.Cluster, asked *config.Cluster) (opened *upstream.Cluster, err error) {
	if c != nil && c.Config() == asked {
		return nil, c.UseSecrets()
	}
	filters, err := a.filtersOf(c, asked)
	if err != nil {
		return nil, err
	}
	if c != nil {
		if err := c.Update(asked); err != nil {
			return nil, err
		}
		c.Filter(filters)
		return nil, nil
	}
	if opened, err = upstream.OpenSecured(asked, a.workers, a.o.Log, a.o.Resolver, a.security); err != nil {
		return nil, err
	}
	opened.Filter(filters)
	return opened, nil
}

// linkClusters tells aggregate clusters whom they have.
func (a *update) linkClusters(living map[string]*upstream.Cluster) {
	for _, c := range living {
		c.Link(func(name string) *upstream.Cluster { return living[name] })
	}
}

// sameClusters reports whether the last update has left nothing to do: most are of
// a route or of an endpoint, and there may be 10,000 clusters.
func (a *update) sameClusters() bool {
	return !a.first && !a.unopened && slices.Equal(a.snap.Clusters, a.applied.Load().Clusters) && a.snap.SameMaterials(a.applied.Load())
}

// How long an update waits for the names of new clusters: at the start nobody
// is served yet, later every other change waits with it.
const (
	firstAnswers = 5 * time.Second
	laterAnswers = 250 * time.Millisecond
)

// await lets new clusters look their names up once, so that the first requests
// are not turned away; one whose names do not answer in time goes live without
// hosts, and says so.
func (a *update) await(opened []*upstream.Cluster) {
	patience := laterAnswers
	if a.first {
		patience = firstAnswers
	}
	late := time.After(patience)
	for _, c := range opened {
		select {
		case <-c.Ready():
		case <-late:
			a.o.Log.Warn("cluster goes live without an answer from DNS", "cluster", c.Name)
			late = time.After(0)
		}
	}
}
