package admin

// What the composition tells admin, and what it lets admin do.

import (
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/lifecycle"
	"github.com/attache-mesh/attache/proxy/stats"
)

// Views is what is shown and what can be changed. Every function may be called
// from any goroutine at any time between Listen and the return of Close, several
// at once; what it returns is not changed afterwards by either side but for
// Stats, whose rows admin sorts. All are set but those that say otherwise.
type Views struct {
	About About
	// State decides /ready.
	State func() State
	// Lifecycle is shown at /lifecycle.
	Lifecycle func() lifecycle.View
	// Stats sums all workers' counters.
	Stats     func() []stats.Row
	Clusters  func() []ClusterView
	Listeners func() []ListenerView
	// ConfigDump gives JSON objects, each with its "@type", in Envoy's order; those
	// of endpoints only if asked for.
	ConfigDump func(endpoints bool) ([][]byte, error)
	Loggers    func() []LoggerView
	// Certs are what the TLS contexts are served with.
	Certs func() []*config.Material
	// SetLogLevel sets one logger, all if name is "". level is one of the
	// levels of Envoy; false: there is no such logger.
	SetLogLevel func(name, level string) bool

	// ReopenLogs makes access logs be opened anew.
	ReopenLogs func()

	// Drain stops listeners; it returns at once.
	Drain func(Drain)
	// Quit begins the end of the program and returns at once: the answer is still
	// to be written, and Close waits for it.
	Quit func()
	// SetHealthy false makes State say Draining, true undoes that.
	SetHealthy func(healthy bool)

	// Config says where the resources in use come from and how long ago they were
	// last known to be up to date; nil if all of them stand in the bootstrap file.
	Config func() (source string, age time.Duration)

	// Explain tells what would be done with a request that query describes; nil
	// leaves /explain out. An error is answered with 400.
	Explain func(query string) (string, error)
}

// About is who this is; it does not change.
type About struct {
	Version string
	Started time.Time
	// FirstStarted is when the first of a line of hot restarts did; zero: there is no line.
	FirstStarted time.Time
	// HotRestart is the version of hot restart that is spoken; "": none is.
	HotRestart string
	Node       Node
	// Options are the command line's, by Envoy's names (admin.v3.CommandLineOptions).
	Options map[string]any
}

// Node is Envoy's core.v3.Node.
type Node struct {
	ID, Cluster           string
	Region, Zone, SubZone string
	// Metadata must be marshalable as JSON.
	Metadata map[string]any
}

// State is admin.v3.ServerInfo.State.
type State uint8

// The states.
const (
	Live State = iota
	Draining
	PreInitializing
	Initializing
)

// String is Envoy's name of the state.
func (s State) String() string {
	switch s {
	case Live:
		return "LIVE"
	case Draining:
		return "DRAINING"
	case PreInitializing:
		return "PRE_INITIALIZING"
	}
	return "INITIALIZING"
}

// ClusterView is a cluster as /clusters shows it.
type ClusterView struct {
	Name string
	// StatName is alt_stat_name; "" is Name.
	StatName    string
	AddedViaAPI bool
	// Limits by priority: [0] DEFAULT, [1] HIGH.
	Limits [2]config.Breakers
	// Outlier is what outlier detection has found; nil: it is off.
	Outlier *OutlierView
	// Hosts by priority.
	Hosts []HostView
}

// OutlierView are success rates of a cluster's hosts in percent, of what they
// answered and of what was tried on this side; -1: not known.
type OutlierView struct {
	Average, Threshold           float64
	LocalAverage, LocalThreshold float64
}

// HostView is a host of a cluster.
type HostView struct {
	Address  config.Address
	Hostname string
	Stats    HostStats
	// Health is what the configuration says. FailedCheck and Ejected are what
	// active checks and outlier detection say.
	Health               config.Health
	FailedCheck, Ejected bool
	// DegradedCheck and LateCheck are of active checks too; Pending waits for its
	// first, Excluded asked to be left out; Leaving is not listed any more.
	DegradedCheck, LateCheck   bool
	Pending, Excluded, Leaving bool
	// Rates are the host's own success rates, as those of OutlierView; nil: not
	// known.
	Rates            *[2]float64
	Weight, Priority uint32
	Region           string
	Zone, SubZone    string
	Canary           bool
}

// HostStats are the per-host figures, summed over workers (Envoy
// envoy/upstream/host_description.h, ALL_HOST_STATS). The actives are gauges.
type HostStats struct {
	CxActive, CxConnectFail, CxTotal                 uint64
	RqActive, RqError, RqSuccess, RqTimeout, RqTotal uint64
}

// ListenerView is a listener with the addresses that it is bound to.
type ListenerView struct {
	Name string
	// Addresses has at least one; its port is the real one.
	Addresses []config.Address
}

// LoggerView is a logger and its level, one of Envoy's.
type LoggerView struct{ Name, Level string }

// Drain is how listeners are stopped (/drain_listeners).
type Drain struct {
	// Graceful waits for the drain time first; SkipExit then stops nothing at all.
	Graceful, SkipExit bool
	// InboundOnly leaves listeners alone that are not traffic_direction INBOUND.
	InboundOnly bool
}
