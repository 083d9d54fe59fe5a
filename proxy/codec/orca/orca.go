// Package orca reads what a host says of its load beside an answer: the header, or the
// trailer, endpoint-load-metrics (xds.data.orca.v3.OrcaLoadReport; Envoy
// common/orca/orca_parser.cc).
//
//	endpoint-load-metrics: TEXT cpu_utilization=0.3,rps_fractional=120
//	endpoint-load-metrics: JSON {"cpu_utilization": 0.3}
//	endpoint-load-metrics: BIN  (base64 of the message)
//	endpoint-load-metrics-bin:  (the same, as gRPC has it)
package orca

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/attache-mesh/attache/proxy/codec/protowire"
)

// Names of the header; that of the binary form comes first.
const (
	NameBinary = "endpoint-load-metrics-bin"
	Name       = "endpoint-load-metrics"
)

// maxMetrics bounds the metrics of each map of a report.
const maxMetrics = 128

// Report is what a host says of itself. Utilizations are parts of 1, and may be more; EPS and RPS are
// errors and requests a second.
type Report struct {
	Application, CPU, Memory, EPS, RPS float64
	Utilization, Named, Cost           Metrics
}

// Metrics are values by name, in the order in which they came; of two with one name the
// last counts.
type Metrics []Metric

// Metric is one value.
type Metric struct {
	Name  string
	Value float64
}

var (
	errTooMany = errors.New("too many metrics")
	errEmpty   = errors.New("an empty value")
	errNumber  = errors.New("a metric is no number, or below 0")
)

// Parse reads the value of Name into r.
func (r *Report) Parse(value []byte) error {
	kind, rest, _ := bytes.Cut(value, []byte{' '})
	switch string(kind) {
	case "BIN":
		return r.ParseBinary(rest)
	case "TEXT":
		return r.parseText(string(rest))
	case "JSON":
		return r.parseJSON(rest)
	}
	return fmt.Errorf("unsupported ORCA header format: %.5q", kind)
}

// ParseBinary reads the value of NameBinary into r.
func (r *Report) ParseBinary(value []byte) error {
	msg, err := base64.StdEncoding.AppendDecode(nil, value)
	if err != nil {
		msg, err = base64.RawStdEncoding.AppendDecode(nil, value) // gRPC leaves padding out
	}
	switch {
	case err != nil:
		return err
	case len(msg) == 0:
		return errEmpty
	}
	return r.parseMessage(msg)
}

// parseMessage reads an OrcaLoadReport.
func (r *Report) parseMessage(msg []byte) error {
	in := protowire.Read(msg)
	for in.Next() {
		f := in.Field
		to := r.number(f.Number)
		m := r.mapOf(f.Number)
		switch {
		case to != nil && f.Type == protowire.Fixed64:
			*to = f.Double()
		case m != nil && f.Type == protowire.Bytes:
			if err := m.parseEntry(f.Data); err != nil {
				return err
			}
		}
	}
	return in.Err()
}

// number is the field of a number; nil if there is none.
func (r *Report) number(n int) *float64 {
	switch n {
	case 1:
		return &r.CPU
	case 2:
		return &r.Memory
	case 6:
		return &r.RPS
	case 7:
		return &r.EPS
	case 9:
		return &r.Application
	}
	return nil
}

func (r *Report) mapOf(n int) *Metrics {
	switch n {
	case 4:
		return &r.Cost
	case 5:
		return &r.Utilization
	case 8:
		return &r.Named
	}
	return nil
}

func (m *Metrics) parseEntry(msg []byte) error {
	var one Metric
	in := protowire.Read(msg)
	for in.Next() {
		switch f := in.Field; {
		case f.Number == 1 && f.Type == protowire.Bytes:
			one.Name = f.Text()
		case f.Number == 2 && f.Type == protowire.Fixed64:
			one.Value = f.Double()
		}
	}
	if err := in.Err(); err != nil {
		return err
	}
	return m.put(one)
}

func (m *Metrics) put(one Metric) error {
	for i := range *m {
		if (*m)[i].Name == one.Name {
			(*m)[i].Value = one.Value
			return nil
		}
	}
	if len(*m) >= maxMetrics {
		return errTooMany
	}
	*m = append(*m, one)
	return nil
}

// Get gives the value of a name.
func (m Metrics) Get(name string) (float64, bool) {
	for i := range m {
		if m[i].Name == name {
			return m[i].Value, true
		}
	}
	return 0, false
}

// parseText reads the native form: name=value or name:value, with commas between them.
func (r *Report) parseText(text string) error {
	var seen []string
	for pair := range strings.SplitSeq(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, value := pair, ""
		if at := strings.IndexAny(pair, "=:"); at >= 0 {
			name, value = pair[:at], pair[at+1:]
		}
		if slices.Contains(seen, name) {
			return fmt.Errorf("duplicate metric: %.64q", name)
		}
		if len(seen) >= maxMetrics {
			return errTooMany
		}
		seen = append(seen, name)
		v, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return errNumber
		}
		if err := r.set(name, v); err != nil {
			return err
		}
	}
	return nil
}

// set is a metric of the native form.
func (r *Report) set(name string, v float64) error {
	for _, p := range []struct {
		prefix string
		to     *Metrics
	}{{"utilization.", &r.Utilization}, {"named_metrics.", &r.Named}} {
		if key, ok := strings.CutPrefix(name, p.prefix); ok {
			if key == "" {
				return errEmpty
			}
			return p.to.put(Metric{key, v})
		}
	}
	to := r.field(name)
	if to == nil {
		return fmt.Errorf("unsupported metric name: %.64q", name)
	}
	*to = v
	return nil
}

func (r *Report) field(name string) *float64 {
	switch name {
	case "cpu_utilization":
		return &r.CPU
	case "mem_utilization":
		return &r.Memory
	case "application_utilization":
		return &r.Application
	case "eps":
		return &r.EPS
	case "rps_fractional":
		return &r.RPS
	}
	return nil
}

// number64 is a double as JSON of protobuf has it: a number, or one as text.
type number64 float64

// UnmarshalJSON reads it.
func (n *number64) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*n = number64(v)
	return err
}

// parseJSON reads the message as JSON of protobuf, with names of either spelling.
func (r *Report) parseJSON(text []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for name, raw := range all {
		name = spelled(name)
		to, m := r.field(name), (*Metrics)(nil)
		switch name {
		case "utilization":
			m = &r.Utilization
		case "named_metrics":
			m = &r.Named
		case "request_cost":
			m = &r.Cost
		case "rps": // what it stands for is not looked at
			continue
		}
		var err error
		switch {
		case to != nil:
			err = json.Unmarshal(raw, (*number64)(to))
		case m != nil:
			err = m.parseJSON(raw)
		default:
			err = fmt.Errorf("no metric is called %.64q", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *Metrics) parseJSON(raw []byte) error {
	var all map[string]number64
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	for name, v := range all {
		if err := m.put(Metric{name, float64(v)}); err != nil {
			return err
		}
	}
	slices.SortFunc(*m, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// spelled makes cpuUtilization cpu_utilization.
func spelled(name string) string {
	var b strings.Builder
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			b.WriteByte('_')
			c |= 0x20
		}
		b.WriteRune(c)
	}
	return b.String()
}

// Each yields the metrics that names ask for, under the names that they have there:
// cpu_utilization and the like, which are there always, and named_metrics.x,
// utilization.x and request_cost.x, with * for all of a map
// (common/orca/orca_load_metrics.cc, scanOrcaLoadReport).
func (r *Report) Each(names []string, yield func(name string, v float64)) {
	for _, name := range names {
		if v := r.field(name); v != nil {
			yield(name, *v)
			continue
		}
		kind, key, _ := strings.Cut(name, ".")
		var m Metrics
		switch kind {
		case "named_metrics":
			m = r.Named
		case "utilization":
			m = r.Utilization
		case "request_cost":
			m = r.Cost
		}
		if key == "*" {
			for i := range m {
				yield(kind+"."+m[i].Name, m[i].Value)
			}
		} else if v, ok := m.Get(key); ok {
			yield(name, v)
		}
	}
}
