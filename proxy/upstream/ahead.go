package upstream

// Who is picked next, told before it is picked, so that a connection is there by then
// (Envoy cluster_manager_impl.cc, maybePreconnect; load_balancer_impl.cc, peekAnotherHost).

import (
	"math/rand/v2"

	"github.com/attache-mesh/attache/proxy/config"
)

// maxAhead bounds the connections that one request makes ahead of others.
const maxAhead = 3

// ConnectAhead connects to the hosts that later requests will be given, so that
// connections are PreconnectAhead times the requests; the request at hand is counted
// already and has no connection yet. connect makes sure that a host has connections
// for so many times its requests and one more, and says whether it makes one.
// Worker only.
func (l *Local) ConnectAhead(requests int64, connect func(h *Host, ratio float64) bool) {
	ratio := l.view.Load().asked.PreconnectAhead
	for range maxAhead {
		if float64(requests)*ratio <= float64(l.Pool.Slots) {
			return
		}
		h := l.Peek()
		if h == nil || !h.fit() || !connect(h, ratio) {
			return
		}
	}
}

// fit says that the host counts as healthy now: others are not given work ahead.
func (h *Host) fit() bool {
	return healthOf(h.asked.Load().Health) == healthy && !h.has(flagEjected|flagUnfit|flagDegraded)
}

// Peek is a host that one of the next picks will give, each call another one of
// them; nil where nobody can know: by hash, among subsets, by the fewest requests
// where hosts weigh the same, or where as many are known ahead as there are healthy
// hosts. Worker only.
func (l *Local) Peek() *Host {
	v := l.view.Load()
	if v.subsets != nil || v.asked.Balance.Kind.IsHash() || v.asked.Discovery.Provides() || v.asked.Discovery == config.DiscoveryAggregate {
		return nil
	}
	l.picks.now = l.Worker.Now()
	if v.asked.Zone != nil {
		l.near()
	}
	return l.picks.peek(v, l.Worker.Rand())
}

// peek picks for a request to come.
func (p *picker) peek(v *view, r *rand.Rand) *Host {
	if v != p.of || p.now >= p.due {
		p.renew(v, r)
	}
	healthy := 0
	for i := range v.levels {
		healthy += len(v.levels[i].healthy.hosts)
	}
	if len(p.ahead) >= healthy {
		return nil
	}
	t := p.turnOf(v, &v.loads, r)
	if t == nil || v.asked.Balance.Kind == config.LeastRequest && len(t.sched.heap) == 0 {
		return nil
	}
	h := t.set.hosts[t.pick(&v.asked.Balance, r, p.now)]
	p.ahead = append(p.ahead, h)
	return h
}

// foretold is the host that was told first of those that are still to be picked.
func (p *picker) foretold() *Host {
	h := p.ahead[0]
	p.ahead = append(p.ahead[:0], p.ahead[1:]...)
	return h
}
