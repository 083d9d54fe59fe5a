package health

import "sync/atomic"

// Counters are what the checks of a cluster counted. Any goroutine.
type Counters struct {
	Attempts, Successes, Failures, Network, Passive, VerifyCluster atomic.Uint64
}

func (n *Counters) took(r Result) {
	switch {
	case !r.Bad():
		n.Successes.Add(1)
		return
	case r.network():
		n.Network.Add(1)
	case r == Passive:
		n.Passive.Add(1)
	}
	n.Failures.Add(1)
}

// Stats yields the counters by Envoy's names (health_check.rst).
func (n *Counters) Stats(yield func(name string, value uint64)) {
	yield("health_check.attempt", n.Attempts.Load())
	yield("health_check.success", n.Successes.Load())
	yield("health_check.failure", n.Failures.Load())
	yield("health_check.network_failure", n.Network.Load())
	yield("health_check.passive_failure", n.Passive.Load())
	yield("health_check.verify_cluster", n.VerifyCluster.Load())
}
