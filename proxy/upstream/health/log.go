package health

// The event log: a line of JSON for each change of a host's state (Envoy
// data.core.v3.HealthCheckEvent).

import (
	"encoding/json"
	"os"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// Log writes the events of one cluster. Its methods block; any goroutine.
type Log struct {
	asked   *config.HealthCheck
	cluster string
}

// NewLog makes the log of a cluster.
func NewLog(asked *config.HealthCheck, cluster string) *Log { return &Log{asked, cluster} }

// Wants reports whether a result that does not change the host's state is told.
func (l *Log) Wants(c Change, r Result) bool {
	return len(l.asked.Logs) > 0 && (l.asked.LogFailures && r.Bad() || l.asked.LogSuccesses && !r.Bad() && c != Changed)
}

type event struct {
	Checker   string         `json:"health_checker_type"`
	Host      map[string]any `json:"host"`
	Cluster   string         `json:"cluster_name"`
	Eject     map[string]any `json:"eject_unhealthy_event,omitempty"`
	Add       map[string]any `json:"add_healthy_event,omitempty"`
	Success   map[string]any `json:"successful_health_check_event,omitempty"`
	Failure   map[string]any `json:"health_check_failure_event,omitempty"`
	Degraded  map[string]any `json:"degraded_healthy_host,omitempty"`
	Timestamp string         `json:"timestamp"`
}

var failureTypes = [resultCount]string{Refused: "ACTIVE", Retriable: "ACTIVE", Broken: "NETWORK", TimedOut: "NETWORK_TIMEOUT", Passive: "PASSIVE"}

var checkerTypes = [...]string{
	config.CheckTCP: "TCP", config.CheckHTTP: "HTTP", config.CheckGRPC: "GRPC", config.CheckRedis: "REDIS", config.CheckMemcached: "TCP",
}

// Tell writes what a result means for the host at an address.
func (l *Log) Tell(at config.Address, s State, c Change, r Result, first bool) {
	if len(l.asked.Logs) == 0 {
		return
	}
	failure := map[string]any{"failure_type": failureTypes[r]}
	if r.Bad() && c == Changed {
		l.write(at, event{Eject: failure})
	}
	if r.Bad() && (first || l.asked.LogFailures) {
		l.write(at, event{Failure: map[string]any{"failure_type": failureTypes[r], "first_check": first}})
	}
	if !r.Bad() && c == Changed {
		if s.Degraded {
			l.write(at, event{Degraded: map[string]any{}})
		} else {
			l.write(at, event{Add: map[string]any{"first_check": first}})
		}
	}
	if !r.Bad() && c != Changed && l.asked.LogSuccesses {
		l.write(at, event{Success: map[string]any{}})
	}
}

func (l *Log) write(at config.Address, e event) {
	e.Checker, e.Cluster = checkerTypes[l.asked.Kind], l.cluster
	e.Timestamp = time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	if at.Path != "" {
		e.Host = map[string]any{"pipe": map[string]any{"path": at.Path}}
	} else {
		e.Host = map[string]any{"socket_address": map[string]any{"address": at.IP.Addr().String(), "port_value": at.IP.Port()}}
	}
	line, err := json.Marshal(e)
	if err != nil {
		return // it is made of strings
	}
	for _, name := range l.asked.Logs {
		if f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644); err == nil {
			_, _ = f.Write(append(line, '\n'))
			_ = f.Close()
		}
	}
}
