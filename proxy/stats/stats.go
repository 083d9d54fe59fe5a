// Package stats is what was counted: names, kinds and the summing of what each
// worker counted for itself, and the formats in which Envoy writes them.
//
//	worker: plain uint64 fields, plain Histogram ─┐
//	worker: plain uint64 fields, plain Histogram ─┼─▶ Sum ─▶ []Row ─▶ Filter ─▶ text | JSON | Prometheus
//	worker: …                                     ─┘   when someone asks
//
// Nothing here is atomic or locked: a worker owns its counters and adds them to
// a Sum itself, in a function that was posted to it.
package stats

import (
	"slices"
	"strings"
)

// Kind is what a statistic is (Envoy envoy/stats/stats.h).
type Kind uint8

// The kinds. A Text is Envoy's text readout.
const (
	Counter Kind = iota
	Gauge
	Distribution
	Text
)

// String gives the name that Envoy's /stats?type= uses.
func (k Kind) String() string {
	switch k {
	case Counter:
		return "Counters"
	case Gauge:
		return "Gauges"
	case Distribution:
		return "Histograms"
	}
	return "TextReadouts"
}

// Row is one statistic, summed.
type Row struct {
	// Name has the parts that Envoy's has, "cluster.x.upstream_rq_total".
	Name string
	Kind Kind
	// Value is that of a Counter or a Gauge.
	Value uint64
	// Histogram is that of a Distribution; not to be changed.
	Histogram *Histogram
	// Text is that of a Text.
	Text string
}

// Used reports whether anything was ever written to the row, as far as its
// value tells: Envoy keeps a flag, here what is zero is unused.
func (r *Row) Used() bool {
	switch r.Kind {
	case Distribution:
		return r.Histogram != nil && r.Histogram.count > 0
	case Text:
		return r.Text != ""
	}
	return r.Value != 0
}

// Sum adds up what workers counted, by name. The zero value is empty. One
// goroutine at a time.
type Sum struct {
	rows  []Row
	index map[string]int
}

// Add adds n to the counter or gauge called name. A gauge that one worker
// raised and another lowered may be given as a negative number in two's
// complement: only the sum has to be positive.
func (s *Sum) Add(name string, k Kind, n uint64) { s.row(name, k).Value += n }

// Record merges a worker's histogram into the one called name; h may change
// afterwards.
func (s *Sum) Record(name string, h *Histogram) {
	r := s.row(name, Distribution)
	if r.Histogram == nil {
		r.Histogram = new(Histogram)
	}
	r.Histogram.Merge(h)
}

// Say sets the text called name; the last word stays.
func (s *Sum) Say(name, text string) { s.row(name, Text).Text = text }

// row finds or makes a row. The first to name it says its kind.
func (s *Sum) row(name string, k Kind) *Row {
	i, ok := s.index[name]
	if !ok {
		if s.index == nil {
			s.index = make(map[string]int)
		}
		i = len(s.rows)
		s.index[name] = i
		s.rows = append(s.rows, Row{Name: name, Kind: k})
	}
	return &s.rows[i]
}

// Rows gives all rows by name. The Sum is not to be used any more.
func (s *Sum) Rows() []Row {
	Sort(s.rows)
	return s.rows
}

// Sort orders rows by name.
func Sort(rows []Row) {
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a.Name, b.Name) })
}

// Clean makes a part of a name, such as an address or a cluster's name, fit to
// stand in one (Envoy Stats::Utility::sanitizeStatsName, of which the stripping
// of a dot at either end is that of whole names): "127.0.0.1:80" becomes
// "127.0.0.1_80". Line ends, which Envoy lets through to its text format, become
// "_" too.
func Clean(part string) string {
	part = strings.TrimPrefix(strings.TrimSuffix(part, "."), ".")
	return cleaner.Replace(part)
}

var cleaner = strings.NewReplacer("://", "_", ":/", "_", ":", "_", "\x00", "_", "\r", "_", "\n", "_")
