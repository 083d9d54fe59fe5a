package upstream

// What a host counts as: what the configuration says, less what was found out.

import "github.com/attache-mesh/attache/proxy/config"

// health is what a host counts as in a view.
type health uint8

const (
	unhealthy health = iota
	degraded
	healthy
)

var healthNames = [...]string{"unhealthy", "degraded", "healthy"}

func (h health) String() string { return healthNames[h] }

// health is as of the member's view.
func (m *member) health() health { return m.state }

// measure is the health as of now (Envoy HostImplBase::coarseHealth).
func (m *member) measure() health {
	if m.host.has(flagEjected) {
		return unhealthy
	}
	return healthOf(m.endpoint.Health)
}

func healthOf(h config.Health) health {
	switch {
	case h == config.HealthDegraded:
		return degraded
	case h.Usable():
		return healthy
	}
	return unhealthy
}

// flag is something that was found out about a host (Envoy
// Host::HealthFlag).
type flag uint32

const (
	// flagEjected: outlier detection leaves it out.
	flagEjected flag = 1 << iota
)

func (h *Host) has(f flag) bool { return flag(h.flags.Load())&f != 0 }

// set sets or clears flags. Whoever does makes a new view for it.
func (h *Host) set(f flag, on bool) {
	if on {
		h.flags.Or(uint32(f))
	} else {
		h.flags.And(^uint32(f))
	}
}

// Ejected reports whether outlier detection leaves the host out. Any goroutine.
func (h *Host) Ejected() bool { return h.has(flagEjected) }
