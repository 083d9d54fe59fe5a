package memproxy

// Where does a key live, and why?

import (
	"github.com/attache-mesh/attache/hashing"
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/outcome"
	"github.com/attache-mesh/attache/proxy/upstream"
)

// Explanation is the way of one key.
type Explanation struct {
	Prefix   string // of the route; "" for the catch-all
	Key      string // as the host knows it
	Hashed   string // the part of Key that is hashed
	Hash     uint64
	Cluster  string
	Host     *upstream.Host // nil: see Outcome
	Outcome  outcome.Outcome
	Balancer config.BalanceKind
}

// Explain says which way a command for key would go now. Worker only, because
// it asks the worker's balancer; it changes nothing but the turn of a balancer
// that goes round.
func (r *Room) Explain(w *loop.Worker, key []byte) (e Explanation) {
	on := r.match(key)
	e.Prefix, e.Cluster = string(on.prefix), on.name
	key = key[on.strip:]
	e.Key, e.Hashed = string(key), string(key)
	if r.cfg.EnableHashtagging {
		e.Hashed = string(hashing.Hashtag(key, '{', '}'))
	}
	switch {
	case on == r.none:
		e.Outcome = outcome.NoRoute
		return e
	case on.cluster == nil:
		e.Outcome = outcome.NoCluster
		return e
	}
	e.Balancer = on.cluster.Config().Balance.Kind
	e.Hash = r.hash(e.Balancer, key)
	e.Host, e.Outcome = on.cluster.On(w).Pick(&upstream.Pick{Hash: e.Hash, HasHash: true})
	return e
}
