package envoyv3

// The state of one decoding: the options and the problems found so far.

import (
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type decoder struct {
	opts     Options
	problems []Problem
	// dialled: the cluster at hand is a control plane's, see controlPlaneTables.
	dialled bool
}

// path names a field from the top of the document. It is extended on the way
// down and read only when there is a problem.
type path string

func root(s string) path { return path(s) }

func (p path) dot(field string) path {
	if p == "" {
		return path(field)
	}
	return p + "." + path(field)
}

func (p path) at(i int) path { return p + path("["+strconv.Itoa(i)+"]") }

func (p path) key(k string) path { return p + path("["+strconv.Quote(k)+"]") }

// refuse reports what no option can excuse.
func (d *decoder) refuse(p path, format string, args ...any) {
	d.problems = append(d.problems, Problem{Path: string(p), Text: fmt.Sprintf(format, args...)})
}

// warn reports what the operator should know and the configuration survives.
func (d *decoder) warn(p path, format string, args ...any) {
	d.problems = append(d.problems, Problem{Path: string(p), Text: fmt.Sprintf(format, args...), Warning: true})
}

// unsupported reports what is good Envoy configuration and not honoured here.
// With --allow-unsupported it is a warning.
func (d *decoder) unsupported(p path, hint string) {
	text := "not supported"
	if hint != "" {
		text += ": " + hint
	}
	d.problems = append(d.problems, Problem{Path: string(p), Text: text, Warning: d.opts.AllowUnsupported})
}

// never reports what is good Envoy configuration, not honoured here, and not
// safe to leave out.
func (d *decoder) never(p path, hint string) {
	text := "not supported"
	if hint != "" {
		text += ": " + hint
	}
	d.problems = append(d.problems, Problem{Path: string(p), Text: text})
}

// duration reads m, or def if it was not given.
func (d *decoder) duration(p path, m *durationpb.Duration, def time.Duration) time.Duration {
	if m == nil {
		return def
	}
	if err := m.CheckValid(); err != nil || m.AsDuration() < 0 {
		d.refuse(p, "must be a duration of at least 0s")
		return def
	}
	return m.AsDuration()
}

// positive reads m like duration and refuses 0.
func (d *decoder) positive(p path, m *durationpb.Duration, def time.Duration) time.Duration {
	v := d.duration(p, m, def)
	if m != nil && v == 0 {
		d.refuse(p, "must be greater than 0s")
	}
	return v
}

func orUint32(m *wrapperspb.UInt32Value, def uint32) uint32 {
	if m == nil {
		return def
	}
	return m.GetValue()
}

func orUint64(m *wrapperspb.UInt64Value, def uint64) uint64 {
	if m == nil {
		return def
	}
	return m.GetValue()
}

func orBool(m *wrapperspb.BoolValue, def bool) bool {
	if m == nil {
		return def
	}
	return m.GetValue()
}

func orDouble(m *wrapperspb.DoubleValue, def float64) float64 {
	if m == nil {
		return def
	}
	return m.GetValue()
}
