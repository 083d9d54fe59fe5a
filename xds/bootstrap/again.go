package bootstrap

// The file's resources under other runtime values.

import (
	"reflect"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/envoyv3"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

// ResourcesWith reads the static resources again under runtime values that
// RuntimeWith gave. What does not change has the same pointer as in
// b.Resources; what is refused under these values stays as it is there.
func (b *Bootstrap) ResourcesWith(r envoyv3.Runtime) config.Resources {
	o := b.Decoding(r)
	again := b.Resources
	again.Clusters, again.Listeners = nil, nil
	read := map[string]*config.Cluster{}
	for i, m := range b.proto.GetStaticResources().GetClusters() {
		if c, problems := envoyv3.Cluster(clusterPath(i), m, o); !load.Refused(problems) {
			read[c.Name] = c
		}
	}
	for _, c := range b.Resources.Clusters {
		again.Clusters = append(again.Clusters, latest(c, read[c.Name]))
	}
	all := b.proto.GetStaticResources().GetListeners()
	for at, i := range b.static.listeners {
		l, problems := envoyv3.Listener(listenerPath(i), all[i], o)
		l.Name = b.Resources.Listeners[at].Name // see addListener
		if load.Refused(problems) {
			l = nil
		}
		again.Listeners = append(again.Listeners, latest(b.Resources.Listeners[at], l))
	}
	return again
}

// latest is now, unless it is nothing or nothing new.
func latest[T any](before, now *T) *T {
	if now == nil || reflect.DeepEqual(before, now) {
		return before
	}
	return now
}
