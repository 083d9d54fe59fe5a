package upstream

// What a host counts as: what the configuration says, less what was found out.

import "github.com/attache-mesh/attache/proxy/config"

// grade is what a host counts as in a view.
type grade uint8

const (
	unhealthy grade = iota
	degraded
	healthy
)

var gradeNames = [...]string{"unhealthy", "degraded", "healthy"}

func (h grade) String() string { return gradeNames[h] }

// health is as of the member's view.
func (m *member) health() grade { return m.state }

// measure is the health as of now (Envoy HostImplBase::coarseHealth).
func (m *member) measure() grade {
	h := healthOf(m.endpoint.Health)
	switch {
	case m.host.has(flagEjected | flagUnfit):
		return unhealthy
	case h == healthy && m.host.has(flagDegraded):
		return degraded
	}
	return h
}

func healthOf(h config.Health) grade {
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
	// flagUnfit: it fails its checks, or has not passed one yet; flagLate: it does
	// not answer them in time.
	flagUnfit
	flagLate
	// flagDegraded: it says that it is to be asked only in need.
	flagDegraded
	// flagPending: it is out of all reckoning until its first check.
	flagPending
	// flagExcluded: it asked to be left out of all reckoning.
	flagExcluded
	// flagLeaving: it is not listed any more, and stays as long as it is fit.
	flagLeaving
	// flagChecked: its first check has ended.
	flagChecked
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

// Flags are what was found out about a host, as /clusters shows it.
type Flags struct {
	// Unfit: it fails its active checks; Late: because it does not answer in time;
	// Degraded: they say that it is to be asked only in need.
	Unfit, Late, Degraded bool
	// Pending: it was not checked yet; Excluded: it asked to be left out.
	Pending, Excluded bool
	// Leaving: it is not listed any more.
	Leaving bool
	// Ejected: outlier detection leaves it out.
	Ejected bool
}

// Flags gives what was found out about the host. Any goroutine.
func (h *Host) Flags() Flags {
	return Flags{
		Unfit: h.has(flagUnfit), Late: h.has(flagLate), Degraded: h.has(flagDegraded), Pending: h.has(flagPending),
		Excluded: h.has(flagExcluded), Leaving: h.has(flagLeaving), Ejected: h.has(flagEjected),
	}
}

// Ejected reports whether outlier detection leaves the host out. Any goroutine.
func (h *Host) Ejected() bool { return h.has(flagEjected) }
