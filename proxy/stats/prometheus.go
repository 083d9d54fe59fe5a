package stats

// The Prometheus text exposition format 0.0.4, with Envoy's names
// (server/admin/prometheus_stats.cc).

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// bounds are Envoy's default histogram buckets (common/stats/histogram_impl.cc).
var bounds = []float64{
	0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000,
	60000, 300000, 600000, 1800000, 3600000,
}

// sample is a row as Prometheus names it.
type sample struct {
	*Row
	labels string // `a="x",b="y"`
}

// AppendPrometheus adds the rows: counters, then gauges, then histograms; the
// samples of a family stand together below its TYPE, families and samples by
// name. Texts are left out, as Envoy does unless it is asked for them.
func AppendPrometheus(dst []byte, rows []Row) []byte {
	for _, k := range []Kind{Counter, Gauge, Distribution} {
		families := families(rows, k)
		for _, name := range slices.Sorted(maps.Keys(families)) {
			dst = append(dst, "# TYPE "+name+" "+prometheusType(k)+"\n"...)
			for _, s := range families[name] {
				dst = appendSample(dst, name, s)
			}
		}
	}
	return dst
}

func prometheusType(k Kind) string {
	switch k {
	case Counter:
		return "counter"
	case Gauge:
		return "gauge"
	}
	return "histogram"
}

// families groups the rows of one kind by metric name.
func families(rows []Row, k Kind) map[string][]sample {
	all := make(map[string][]sample)
	for r := range part(rows, k) {
		family, tags := Extract(r.Name)
		name := "envoy_" + metricName(family)
		all[name] = append(all[name], sample{r, labels(tags)})
	}
	for _, samples := range all {
		slices.SortStableFunc(samples, func(a, b sample) int { return strings.Compare(a.Name, b.Name) })
	}
	return all
}

func appendSample(dst []byte, name string, s sample) []byte {
	if s.Kind != Distribution {
		return appendValue(dst, name, s.labels, strconv.FormatUint(s.Value, 10))
	}
	h := s.Histogram
	if h == nil {
		h = new(Histogram)
	}
	more := s.labels
	if more != "" {
		more += ","
	}
	for _, b := range bounds {
		le := strconv.FormatFloat(b, 'f', -1, 64)
		dst = appendValue(dst, name+"_bucket", more+`le="`+le+`"`, strconv.FormatUint(h.AtMost(b), 10))
	}
	count := strconv.FormatUint(h.count, 10)
	dst = appendValue(dst, name+"_bucket", more+`le="+Inf"`, count)
	dst = appendValue(dst, name+"_sum", s.labels, strconv.FormatUint(h.sum, 10))
	return appendValue(dst, name+"_count", s.labels, count)
}

func appendValue(dst []byte, name, labels, value string) []byte {
	return append(dst, name+"{"+labels+"} "+value+"\n"...)
}

func labels(tags []Tag) string {
	var b strings.Builder
	for i, t := range tags {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(metricName(t.Name) + `="` + labelValue.Replace(t.Value) + `"`)
	}
	return b.String()
}

// labelValue escapes as the exposition format asks.
var labelValue = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// metricName puts "_" for each byte that a metric name cannot have.
func metricName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, name)
}
