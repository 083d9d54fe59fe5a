package memproxy

// Which cluster keeps a key, and under which hash and name?

import (
	"bytes"
	"slices"
	"strings"

	"github.com/attache-mesh/attache/hashing"
	"github.com/attache-mesh/attache/proxy/codec/memcache"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// route is a prefix and where its keys go. Immutable.
type route struct {
	prefix  []byte
	strip   int // bytes that the host does not see
	name    string
	cluster *upstream.Cluster // nil: there is none
	miss    bool              // failed reads are misses
	failed  []string          // the line for each outcome
}

// route builds the table of prefixes.
func (r *Room) route(resolve func(string) *upstream.Cluster) {
	for _, p := range r.cfg.Routes {
		one := &route{prefix: []byte(p.Prefix), name: p.Cluster, cluster: resolve(p.Cluster)}
		if p.RemovePrefix {
			one.strip = len(p.Prefix)
		}
		r.routes = append(r.routes, one)
	}
	slices.SortStableFunc(r.routes, func(a, b *route) int { return len(b.prefix) - len(a.prefix) })
	if name := r.cfg.CatchAll; name != "" {
		r.routes = append(r.routes, &route{name: name, cluster: resolve(name)})
	}
	r.none = &route{}
	for _, one := range append([]*route{r.none}, r.routes...) {
		one.miss = r.cfg.MissOnFailure
		one.failed = failureLines(one.name)
	}
}

// failureLines words every outcome as a client is told, with the cluster's name.
func failureLines(cluster string) (lines []string) {
	for o := range outcome.All {
		text := o.Memcached()
		if text == "" { // not met by a command; if it is, the client is answered all the same
			text = outcome.ConnectionLost.Memcached()
		}
		text = strings.TrimPrefix(text, "SERVER_ERROR ")
		if cluster != "" {
			text += " (cluster " + cluster + ")"
		}
		lines = append(lines, string(memcache.AppendServerError(nil, text)))
	}
	return lines
}

// match finds the route of a key. Prefixes are few: they are tried in turn.
func (r *Room) match(key []byte) *route {
	for _, one := range r.routes {
		if bytes.HasPrefix(key, one.prefix) {
			return one
		}
	}
	return r.none
}

// hash is what the cluster's table is asked with: xxHash64 of the key, as the
// key is known to the host, for Envoy's tables and ours, and each ketama's own
// default function. With hash tags only the tag counts.
func (r *Room) hash(kind config.BalanceKind, key []byte) uint64 {
	if r.cfg.EnableHashtagging {
		key = hashing.Hashtag(key, '{', '}')
	}
	switch kind {
	case config.Ketama:
		return uint64(hashing.Sum(hashing.HashFNV1ax64, key)) // twemproxy's default
	case config.Libmemcached:
		return uint64(hashing.Sum(hashing.HashMD5, key)) // BEHAVIOR_KETAMA_WEIGHTED sets it
	}
	return hashing.XXH64(key, 0)
}

// pick finds the session that a key belongs to; the host's name of the key is
// key[route.strip:].
func (at *local) pick(w *loop.Worker, on *route, key []byte, pin int) (*session, outcome.Outcome) {
	switch {
	case on == at.none:
		return nil, outcome.NoRoute
	case on.cluster == nil:
		return nil, outcome.NoCluster
	}
	cluster := on.cluster.On(w)
	p := upstream.Pick{Hash: at.hash(on.cluster.Config().Balance.Kind, key[on.strip:]), HasHash: true}
	for n := 0; ; n++ {
		h, o := cluster.Pick(&p)
		if o != outcome.OK {
			return nil, o
		}
		x, o := sessionOf(cluster, h.On(w), pin)
		if o != outcome.NoHost || n == maxPicks {
			return x, o
		} // it left in this very moment: the next pick does not find it
	}
}

// maxPicks bounds how often hosts leave while one command is sent.
const maxPicks = 3
