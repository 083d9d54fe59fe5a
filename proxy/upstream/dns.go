package upstream

import (
	"context"
	"net/netip"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// Resolver looks up the addresses of a DNS cluster.
type Resolver interface {
	Lookup(ctx context.Context, name string, family config.DNSFamily) (addrs []netip.Addr, ttl time.Duration, err error)
}

func (c *Cluster) resolved(asked *config.Cluster, e *config.Endpoint) []*config.Endpoint { return nil }
func (c *Cluster) discover(asked *config.Cluster)                                        {}
func (c *Cluster) endDNS()                                                               {}
