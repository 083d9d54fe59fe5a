package outlier

// The event log: a line of JSON for each host that is found to be an outlier, and
// for each that is back (Envoy data.cluster.v3.OutlierDetectionEvent).

import (
	"encoding/json"
	"os"
	"strconv"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
)

// Event is what a Detector tells of a host.
type Event struct {
	// Host is the Monitor's Name.
	Host string
	// Back says that the host is no longer left out; else it was found to be an
	// outlier for the reason Kind, and is left out if Enforced.
	Back, Enforced bool
	Kind           config.OutlierKind
	// Ejections is how often the host was left out.
	Ejections uint32
	// Since is how long ago it came back (or was left out, if Back); below 0: never.
	Since time.Duration
	// Rate is the host's success rate in percent, Average and Least are those of
	// Counters.Rates; read for the kinds that compare rates.
	Rate, Average, Least float64
}

// Log writes the events of one cluster to a file.
type Log struct {
	// Path is the file; Cluster the cluster's name.
	Path, Cluster string
}

// line has the fields in the order of their numbers, as Envoy prints them; those
// that are plain numbers and words are always there.
type line struct {
	Type        string        `json:"type"`
	Timestamp   string        `json:"timestamp"`
	Since       *string       `json:"secs_since_last_action,omitempty"`
	Cluster     string        `json:"cluster_name"`
	Host        string        `json:"upstream_url"`
	Action      string        `json:"action"`
	Ejections   uint32        `json:"num_ejections"`
	Enforced    bool          `json:"enforced"`
	SuccessRate *successRates `json:"eject_success_rate_event,omitempty"`
	Consecutive *struct{}     `json:"eject_consecutive_event,omitempty"`
	Failures    *failureRate  `json:"eject_failure_percentage_event,omitempty"`
}

type successRates struct {
	Host    uint32 `json:"host_success_rate"`
	Average uint32 `json:"cluster_average_success_rate"`
	Least   uint32 `json:"cluster_success_rate_ejection_threshold"`
}

type failureRate struct {
	Host uint32 `json:"host_success_rate"`
}

var typeNames = [config.OutlierKinds]string{
	"CONSECUTIVE_5XX", "CONSECUTIVE_GATEWAY_FAILURE", "SUCCESS_RATE", "CONSECUTIVE_LOCAL_ORIGIN_FAILURE",
	"SUCCESS_RATE_LOCAL_ORIGIN", "FAILURE_PERCENTAGE", "FAILURE_PERCENTAGE_LOCAL_ORIGIN",
}

// Tell writes an event. It blocks. A file that cannot be written is no reason not
// to go on: the statistics have the same figures. Any goroutine.
func (l Log) Tell(e Event) {
	text, err := json.Marshal(l.line(e))
	if err != nil {
		return // it is made of strings and numbers
	}
	if f, err := os.OpenFile(l.Path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644); err == nil {
		_, _ = f.Write(append(text, '\n'))
		_ = f.Close()
	}
}

func (l Log) line(e Event) line {
	x := line{
		Type: typeNames[e.Kind], Timestamp: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		Cluster: l.Cluster, Host: e.Host, Action: "EJECT", Ejections: e.Ejections, Enforced: e.Enforced,
	}
	if e.Since >= 0 {
		seconds := strconv.FormatInt(int64(e.Since/time.Second), 10) // 64 bits are text in protobuf's JSON
		x.Since = &seconds
	}
	switch {
	case e.Back:
		x.Action = "UNEJECT"
	case e.Kind == config.OutlierSuccessRate || e.Kind == config.OutlierLocalSuccessRate:
		x.SuccessRate = &successRates{whole(e.Rate), whole(e.Average), whole(e.Least)}
	case e.Kind == config.OutlierFailurePercentage || e.Kind == config.OutlierLocalFailurePercentage:
		x.Failures = &failureRate{whole(e.Rate)}
	default:
		x.Consecutive = &struct{}{}
	}
	return x
}

// whole cuts a percentage down to a whole number, as Envoy's field does.
func whole(percent float64) uint32 { return uint32(max(percent, 0)) }
