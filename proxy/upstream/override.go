package upstream

// Hosts that requests name by themselves (Envoy HostUtility::selectOverrideHost).

import (
	"strings"
	"sync"

	"github.com/attache-mesh/attache/proxy/config"
)

// Override is the host that a request wants, past all balancing.
type Override struct {
	// Address is the host's, as text.
	Address string
	// Strict has the request fail if that host is not there, or in no state to be
	// asked (Cluster.OverrideHealth); else another one is picked.
	Strict bool
}

// names finds the hosts of a view by their address. It is made when the first
// request asks: most clusters need none.
type names struct {
	once sync.Once
	of   map[string]*member
}

// Wanted are the addresses that a request lists, less those that were picked: each pick
// takes the next that a host has (override_host/load_balancer.cc, getEndpoint).
type Wanted struct {
	// Left is what is still to be picked, with commas between.
	Left string
}

// wanted is the next host of a list, whatever its health, as in Envoy; nil: there is
// none. Any goroutine.
func (v *view) wanted(w *Wanted) *Host {
	for w.Left != "" {
		var address string
		address, w.Left, _ = strings.Cut(w.Left, ",")
		if address = strings.TrimSpace(address); address == "" {
			continue
		}
		if m := v.at(address); m != nil {
			return m.host
		}
	}
	return nil
}

// at finds the host of an address, nil if there is none. Any goroutine.
func (v *view) at(address string) *member {
	n := &v.byName
	n.once.Do(func() {
		n.of = make(map[string]*member, len(v.members))
		for i := range v.members {
			n.of[v.members[i].host.name] = &v.members[i]
		}
	})
	return n.of[address]
}

// named finds a host that may be asked; nil if there is none. Any goroutine.
func (v *view) named(address string) *Host {
	m := v.at(address)
	if m == nil || !takes(v.asked.OverrideHealth, m.says()) {
		return nil
	}
	return m.host
}

func takes(states uint8, h config.Health) bool {
	if states == 0 {
		return h.Usable()
	}
	return states&(1<<h) != 0
}

// says is the host's state in the words of the configuration (HostImpl::healthStatus).
func (m *member) says() config.Health {
	switch h := m.endpoint.Health; {
	case m.host.has(flagEjected | flagUnfit):
		return config.HealthUnhealthy
	case h.Usable() && m.host.has(flagDegraded):
		return config.HealthDegraded
	default:
		return h
	}
}
