package health

// The event log: a line of JSON for each change of a host's state (Envoy
// data.core.v3.HealthCheckEvent, printed with the fields that have their default).

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// Log writes the events of one cluster. Its methods block; any goroutine.
type Log struct {
	asked   *config.HealthCheck
	cluster string
}

// Subject is a host as the log names it.
type Subject struct {
	At       config.Address
	Metadata config.FilterMetadata
	Place    config.Place
}

// NewLog makes the log of a cluster.
func NewLog(asked *config.HealthCheck, cluster string) *Log { return &Log{asked, cluster} }

// Wants reports whether a result that does not change the host's state is told.
func (l *Log) Wants(s State, r Result) bool {
	return len(l.asked.Logs) > 0 && (l.asked.LogFailures && r.Bad() || l.asked.LogSuccesses && !r.Bad() || s.Turned)
}

// event has the fields in the order of their numbers.
type event struct {
	Checker   string         `json:"health_checker_type"`
	Host      any            `json:"host"`
	Cluster   string         `json:"cluster_name"`
	Eject     *failureEvent  `json:"eject_unhealthy_event,omitempty"`
	Add       *firstEvent    `json:"add_healthy_event,omitempty"`
	Timestamp string         `json:"timestamp"`
	Failure   *failedEvent   `json:"health_check_failure_event,omitempty"`
	Degraded  *struct{}      `json:"degraded_healthy_host,omitempty"`
	Restored  *struct{}      `json:"no_longer_degraded_host,omitempty"`
	Metadata  *metadataEvent `json:"metadata,omitempty"`
	Locality  placeEvent     `json:"locality"`
	Success   *struct{}      `json:"successful_health_check_event,omitempty"`
}

type (
	failureEvent struct {
		Type string `json:"failure_type"`
	}
	firstEvent struct {
		First bool `json:"first_check"`
	}
	failedEvent struct {
		failureEvent
		firstEvent
	}
	metadataEvent struct {
		Fields json.RawMessage `json:"filter_metadata"`
		Typed  struct{}        `json:"typed_filter_metadata"`
	}
	placeEvent struct {
		Region  string `json:"region"`
		Zone    string `json:"zone"`
		SubZone string `json:"sub_zone"`
	}
)

var failureTypes = [resultCount]string{Refused: "ACTIVE", Retriable: "ACTIVE", Broken: "NETWORK", TimedOut: "NETWORK_TIMEOUT", Passive: "PASSIVE"}

var checkerTypes = [...]string{
	config.CheckTCP: "TCP", config.CheckHTTP: "HTTP", config.CheckGRPC: "GRPC", config.CheckRedis: "REDIS", config.CheckMemcached: "TCP",
}

// Tell writes what a result means for a host, in the order in which Envoy does
// (ActiveHealthCheckSession::handleSuccess, setUnhealthy).
func (l *Log) Tell(h Subject, s State, c Change, r Result, first bool) {
	if len(l.asked.Logs) == 0 {
		return
	}
	failure := failureEvent{failureTypes[r]}
	if r.Bad() {
		if c == Changed {
			l.write(h, event{Eject: &failure})
		}
		if first || l.asked.LogFailures {
			l.write(h, event{Failure: &failedEvent{failure, firstEvent{first}}})
		}
		return
	}
	switch {
	case s.Recovered:
		l.write(h, event{Add: &firstEvent{first}})
	case l.asked.LogSuccesses:
		l.write(h, event{Success: &struct{}{}})
	}
	switch {
	case s.Turned && s.Degraded:
		l.write(h, event{Degraded: &struct{}{}})
	case s.Turned:
		l.write(h, event{Restored: &struct{}{}})
	}
}

func (l *Log) write(h Subject, e event) {
	e.Checker, e.Cluster = checkerTypes[l.asked.Kind], l.cluster
	e.Timestamp = time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	e.Host, e.Locality = address(h.At), placeEvent(h.Place)
	if h.Metadata != nil {
		e.Metadata = &metadataEvent{Fields: fields(h.Metadata)}
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

// address is core.v3.Address.
func address(at config.Address) any {
	if at.Path != "" {
		return map[string]any{"pipe": struct {
			Path string `json:"path"`
			Mode uint32 `json:"mode"`
		}{at.Path, 0}}
	}
	return map[string]any{"socket_address": struct {
		Protocol  string `json:"protocol"`
		Address   string `json:"address"`
		Port      uint16 `json:"port_value"`
		Resolver  string `json:"resolver_name"`
		Compat    bool   `json:"ipv4_compat"`
		Namespace string `json:"network_namespace_filepath"`
	}{"TCP", at.IP.Addr().String(), at.IP.Port(), "", false, ""}}
}

func fields(m config.FilterMetadata) json.RawMessage {
	all := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			all = append(all, ',')
		}
		all = append(config.Value{Kind: config.ValueText, Text: name}.AppendJSON(all), ':')
		all = config.Value{Kind: config.ValueStruct, Fields: m[name]}.AppendJSON(all)
	}
	return append(all, '}')
}
