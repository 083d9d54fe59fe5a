package proxy

import (
	"maps"
	"slices"
	"time"

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
	var opened []*upstream.Cluster
	for _, asked := range a.snap.Clusters {
		c := living[asked.Name]
		switch {
		case c == nil:
			c, err := upstream.OpenSecured(asked, a.workers, a.o.Log, a.o.Resolver, a.security)
			if err != nil {
				a.refuse("cluster "+asked.Name, err)
				continue
			}
			living[asked.Name] = c
			opened = append(opened, c)
		case c.Config() != asked:
			if err := c.Update(asked); err != nil {
				a.refuse("cluster "+asked.Name, err)
			}
		default:
			if err := c.UseSecrets(); err != nil {
				a.refuse("cluster "+asked.Name, err)
			}
		}
	}
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
	a.unopened = len(a.problems) > 0
	a.await(opened)
}

// sameClusters reports whether the last update has left nothing to do: most are of
// a route or of an endpoint, and there may be 10,000 clusters.
func (a *update) sameClusters() bool {
	return !a.first && !a.unopened && slices.Equal(a.snap.Clusters, a.snapshot.Clusters) && a.snap.SameMaterials(a.snapshot)
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
