package stats

// Envoy's text and JSON of statistics (server/admin/stats_render.cc). Envoy
// shows each histogram also for the last flush interval; attache keeps no
// interval and says there what Envoy says of one in which nothing came.

import (
	"math"
	"strconv"
	"strings"
)

// quantiles are those that Envoy shows (common/stats/histogram_impl.cc).
var quantiles = []float64{0, 0.25, 0.5, 0.75, 0.90, 0.95, 0.99, 0.995, 0.999, 1}

// AppendText adds a line for each row: texts first, then counters and gauges,
// then histograms, each part in the order of rows.
func AppendText(dst []byte, rows []Row) []byte {
	for r := range part(rows, Text) {
		dst = append(dst, oneLine.Replace(r.Name)...)
		dst = append(dst, `: "`...)
		dst = append(dst, oneLine.Replace(r.Text)...)
		dst = append(dst, "\"\n"...)
	}
	for r := range part(rows, Counter, Gauge) {
		dst = append(dst, oneLine.Replace(r.Name)...)
		dst = append(dst, ": "...)
		dst = strconv.AppendUint(dst, r.Value, 10)
		dst = append(dst, '\n')
	}
	for r := range part(rows, Distribution) {
		dst = append(dst, oneLine.Replace(r.Name)...)
		dst = append(dst, ": "...)
		dst = appendSummary(dst, r)
		dst = append(dst, '\n')
	}
	return dst
}

// oneLine keeps a name or a text on its line.
var oneLine = strings.NewReplacer("\r", `\r`, "\n", `\n`)

// appendSummary adds "P0(nan,1) P25(nan,3) …".
func appendSummary(dst []byte, r *Row) []byte {
	if !r.Used() {
		return append(dst, "No recorded values"...)
	}
	for i, q := range quantiles {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, 'P')
		dst = appendPercent(dst, q)
		dst = append(dst, "(nan,"...)
		dst = appendFloat(dst, r.Histogram.Quantile(q))
		dst = append(dst, ')')
	}
	return dst
}

// appendPercent writes 0.995 as 99.5.
func appendPercent(dst []byte, q float64) []byte {
	return appendFloat(dst, math.Round(q*1000)/10)
}

func appendFloat(dst []byte, v float64) []byte { return strconv.AppendFloat(dst, v, 'f', -1, 64) }

// part yields the rows of some kinds.
func part(rows []Row, kinds ...Kind) func(func(*Row) bool) {
	return func(yield func(*Row) bool) {
		for i := range rows {
			for _, k := range kinds {
				if rows[i].Kind == k && !yield(&rows[i]) {
					return
				}
			}
		}
	}
}
