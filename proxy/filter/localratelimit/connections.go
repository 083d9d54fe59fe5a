package localratelimit

// The network filter of that name, which counts connections
// (Envoy source/extensions/filters/network/local_ratelimit/local_ratelimit.cc).

import (
	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/filter"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/netfilter"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Connections is the network filter of one chain.
type Connections struct {
	cfg    *config.ConnectionRateLimit
	bucket *filter.Bucket
	count  filter.PerWorker[uint64] // of those that were closed
}

// NewConnections compiles it. bucket is NewBucket of its size; filters may share
// one.
func NewConnections(cfg *config.ConnectionRateLimit, bucket *filter.Bucket, env netfilter.Env) *Connections {
	return &Connections{cfg: cfg, bucket: bucket, count: filter.NewPerWorker[uint64](env.Workers)}
}

// Greet takes a token for the connection.
func (f *Connections) Greet(c *netfilter.Conn) bool {
	if f.cfg.Off || f.bucket.Take(1, c.Worker().Now()) {
		return true
	}
	*f.count.On(c.Worker())++
	c.Info.Flags |= streaminfo.UpstreamRetryLimitExceeded
	return c.Refuse("local_ratelimit_close_over_limit")
}

// Stats yields what worker w has counted.
func (f *Connections) Stats(w *loop.Worker, yield func(name string, v uint64)) {
	yield("local_rate_limit."+f.cfg.StatPrefix+".rate_limited", *f.count.On(w))
}
