package upstream

import (
	"log/slog"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
)

// Open makes a cluster live on the workers, whose IDs are their indices. Hosts
// of a STATIC cluster are there at once; those of a DNS cluster come with the
// first answer. resolve looks names up for DNS clusters (nil: the system's).
// Any goroutine.
func Open(c *config.Cluster, workers []*loop.Worker, log *slog.Logger, resolve Resolver) (*Cluster, error) {
	return nil, nil
}

// Update changes what is asked of the cluster: new view first, then hosts that
// left are retired on each worker. Any goroutine.
func (c *Cluster) Update(asked *config.Cluster) error { return nil }

// Close retires every host and ends DNS. Requests in progress finish.
func (c *Cluster) Close() {}

// Resolver looks up the addresses of a DNS cluster.
type Resolver interface{}
