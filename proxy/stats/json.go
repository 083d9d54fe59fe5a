package stats

// {"stats":[{"name":"a","value":1},…,{"histograms":{…}}]}

import (
	"encoding/json"
	"strconv"
)

// AppendJSON adds Envoy's JSON of the rows, in the order of AppendText;
// histograms come last, together.
func AppendJSON(dst []byte, rows []Row) []byte {
	dst = append(dst, `{"stats":[`...)
	comma := false
	next := func() {
		if comma {
			dst = append(dst, ',')
		}
		comma = true
	}
	for r := range part(rows, Text) {
		next()
		dst = appendNamed(dst, r.Name, `,"value":`)
		dst = append(appendString(dst, r.Text), '}')
	}
	for r := range part(rows, Counter, Gauge) {
		next()
		dst = appendNamed(dst, r.Name, `,"value":`)
		dst = append(strconv.AppendUint(dst, r.Value, 10), '}')
	}
	first := true
	for r := range part(rows, Distribution) {
		if first {
			next()
			dst = appendQuantiles(dst)
		} else {
			dst = append(dst, ',')
		}
		first = false
		dst = appendComputed(dst, r)
	}
	if !first {
		dst = append(dst, `]}}`...)
	}
	return append(dst, `]}`...)
}

// appendQuantiles opens the object that holds all histograms.
func appendQuantiles(dst []byte) []byte {
	dst = append(dst, `{"histograms":{"supported_quantiles":[`...)
	for i, q := range quantiles {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendPercent(dst, q)
	}
	return append(dst, `],"computed_quantiles":[`...)
}

func appendComputed(dst []byte, r *Row) []byte {
	dst = appendNamed(dst, r.Name, `,"values":[`)
	for i, q := range quantiles {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"cumulative":`...)
		if r.Used() {
			dst = appendFloat(dst, r.Histogram.Quantile(q))
		} else {
			dst = append(dst, "null"...)
		}
		dst = append(dst, `,"interval":null}`...)
	}
	return append(dst, `]}`...)
}

func appendNamed(dst []byte, name, then string) []byte {
	dst = append(dst, `{"name":`...)
	return append(appendString(dst, name), then...)
}

// appendString quotes as JSON that is harmless inside HTML too.
func appendString(dst []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic("stats: a string is always JSON: " + err.Error())
	}
	return append(dst, quoted...)
}
