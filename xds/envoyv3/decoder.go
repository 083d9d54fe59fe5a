package envoyv3

// The state of one decoding: the options and the problems found so far.

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/xds/envoyv3/load"
)

type decoder struct {
	opts     Options
	problems []Problem
	invalid  []Problem // what validation found
	warnings int
	more     int // problems that are not told
	programs int // instructions of regular expressions
	// dialled: the cluster at hand is a control plane's, see controlPlaneTables.
	dialled bool
	// specifierNamed are the cluster specifier plugins of the table at hand.
	specifierNamed map[string]*config.ClusterTree
	// foreign: the cluster at hand is of a type that is not built.
	foreign bool
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

// report notes a problem. Of very many only some are told: hostile content is
// not answered by more of it.
func (d *decoder) report(p Problem) {
	if p.Warning {
		d.warnings++
	}
	if p.Warning && d.warnings > maxProblems || !p.Warning && len(d.problems)-min(d.warnings, maxProblems) >= maxProblems {
		d.more++
		return
	}
	d.problems = append(d.problems, p)
}

// refuse reports what no option can excuse.
func (d *decoder) refuse(p path, format string, args ...any) {
	d.report(Problem{Path: string(p), Text: fmt.Sprintf(format, args...)})
}

// warn reports what the operator should know and the configuration survives.
func (d *decoder) warn(p path, format string, args ...any) {
	d.report(Problem{Path: string(p), Text: fmt.Sprintf(format, args...), Warning: true})
}

// unsupported reports what is good Envoy configuration and not honoured here.
// With --allow-unsupported it is a warning.
func (d *decoder) unsupported(p path, hint string) {
	text := "not supported"
	if hint != "" {
		text += ": " + hint
	}
	d.report(Problem{Path: string(p), Text: text, Warning: d.opts.AllowUnsupported})
}

// never reports what is good Envoy configuration, not honoured here, and not
// safe to leave out.
func (d *decoder) never(p path, hint string) {
	text := "not supported"
	if hint != "" {
		text += ": " + hint
	}
	d.report(Problem{Path: string(p), Text: text})
}

// notBuilt reports what is taken and does nothing, see level unbuilt; types are the
// extensions that it asks for.
func (d *decoder) notBuilt(p path, hint string, types ...string) {
	text := "has no effect"
	if len(types) > 0 {
		text += " (" + strings.Join(types, ", ") + ")"
	}
	if hint != "" {
		text += ": " + hint
	}
	d.report(Problem{Path: string(p), Text: text, Warning: true, Unbuilt: true})
}

// refusals counts what was refused so far.
func (d *decoder) refusals() int { return len(d.problems) - min(d.warnings, maxProblems) + d.more }

// begin looks at a whole message before it is decoded.
func (d *decoder) begin(p path, m proto.Message) {
	d.validate(p, m)
	d.check(p, m)
}

// validate applies the rules of the API to a message and those in it, but not
// to what is packed in an Any.
func (d *decoder) validate(p path, m proto.Message) {
	if !d.opts.Validated && m.ProtoReflect().IsValid() {
		d.invalid = append(d.invalid, load.Validate(string(p), m)...)
	}
}

// end gives everything that is wrong, but each field once: what validation has
// found wrong is not what decoding takes it for.
func (d *decoder) end() []Problem {
	all := d.problems
	if d.more > 0 {
		all = append(all, Problem{Warning: true, Text: fmt.Sprintf("%d more problems", d.more)})
	}
	if len(d.invalid) == 0 {
		return all
	}
	return load.Join(d.invalid, all)
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

// durationIfSet reads m like duration; nil if it is not set.
func (d *decoder) durationIfSet(p path, m *durationpb.Duration) *time.Duration {
	if m == nil {
		return nil
	}
	v := d.duration(p, m, 0)
	return &v
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
