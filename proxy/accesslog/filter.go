package accesslog

// Which entries are written.

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/format"
	"github.com/attache-mesh/attache/proxy/match"
	"github.com/attache-mesh/attache/proxy/match/cel"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

// Filter is a compiled config.LogFilter. Immutable; any goroutine.
type Filter struct {
	kind     config.LogFilterKind
	all      []Filter
	op       config.CompareOp
	value    int64
	fraction config.Fraction
	own      bool // draws a number of its own
	header   match.Header
	flags    streaminfo.Flags // 0: any
	numbers  []int
	exclude  bool
	metadata *match.Metadata
	missing  bool
	cel      *cel.Program
	needs    format.Needs
}

// NewFilter compiles a filter.
func NewFilter(f *config.LogFilter) *Filter {
	c := &Filter{
		kind: f.Kind, op: f.Op, value: int64(f.Value), fraction: f.Fraction, own: f.Independent,
		numbers: f.Numbers, exclude: f.Exclude, missing: f.Missing,
	}
	switch f.Kind {
	case config.LogHeader:
		c.header, c.needs = match.NewHeader(&f.Header), format.NeedsRequest
	case config.LogGRPCStatus:
		c.needs = format.NeedsResponse | format.NeedsTrailers
	case config.LogCEL:
		c.cel = cel.Compile(f.CEL)
		c.needs = format.NeedsRequest | format.NeedsResponse | format.NeedsTrailers | format.NeedsLocal
	case config.LogMetadata:
		if f.Metadata != nil {
			c.metadata = match.NewMetadata(f.Metadata)
		}
	}
	for _, short := range f.Flags {
		c.flags |= streaminfo.FlagOf(short)
	}
	for i := range f.All {
		one := NewFilter(&f.All[i])
		c.all = append(c.all, *one)
		c.needs |= one.needs
	}
	return c
}

// Needs says what the filter looks at.
func (f *Filter) Needs() format.Needs { return f.needs }

// Pass decides on an entry (access_log_impl.cc). rng is drawn from only by a
// fraction.
func (f *Filter) Pass(v *streaminfo.View, rng *rand.Rand) bool {
	switch f.kind {
	case config.LogStatus:
		return f.compare(int64(v.Status))
	case config.LogDuration:
		end := v.Times.Ended
		if end == 0 {
			end = v.Now
		}
		return f.compare((end - v.Times.Began) / int64(time.Millisecond))
	case config.LogNotHealthCheck:
		return !v.HealthCheck
	case config.LogTraceable:
		return false // there are no traces
	case config.LogFraction:
		return f.drawn(v, rng)
	case config.LogAnd:
		for i := range f.all {
			if !f.all[i].Pass(v, rng) {
				return false
			}
		}
		return true
	case config.LogOr:
		for i := range f.all {
			if f.all[i].Pass(v, rng) {
				return true
			}
		}
		return false
	case config.LogHeader:
		return v.Request != nil && f.header.Match(v.Request)
	case config.LogFlags:
		if f.flags == 0 {
			return v.Flags != 0
		}
		return v.Flags&f.flags != 0
	case config.LogGRPCStatus:
		status, ok := format.GRPCStatus(v)
		if !ok {
			status = 2 // UNKNOWN
		}
		return slices.Contains(f.numbers, status) != f.exclude
	case config.LogLogType:
		return slices.Contains(f.numbers, int(v.Log)) != f.exclude
	case config.LogMetadata:
		if f.metadata == nil {
			return f.missing
		}
		if value, ok := f.metadata.Find(v.Metadata.All()); ok {
			return f.metadata.Holds(value)
		}
		return f.missing
	case config.LogCEL:
		return f.cel.Match(v)
	}
	return false
}

func (f *Filter) compare(n int64) bool {
	switch f.op {
	case config.CompareAtLeast:
		return n >= f.value
	case config.CompareAtMost:
		return n <= f.value
	case config.CompareNot:
		return n != f.value
	case config.CompareEqual:
	}
	return n == f.value
}

// drawn draws by the request's id, so that all logs of a request agree, or anew.
func (f *Filter) drawn(v *streaminfo.View, rng *rand.Rand) bool {
	if f.fraction.Den == 0 {
		return false
	}
	n, ok := uint64(0), false
	if !f.own {
		n, ok = idNumber(v.RequestID)
	}
	if !ok {
		n = rng.Uint64()
	}
	return n%uint64(f.fraction.Den) < uint64(f.fraction.Num)
}

// idNumber is the first eight hexadecimal digits of a UUID (UUIDRequestIDExtension::toInteger).
func idNumber(id []byte) (n uint64, ok bool) {
	if len(id) < 8 {
		return 0, false
	}
	for _, c := range id[:8] {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}
