package admin

// /stats and /stats/prometheus.

import (
	"regexp"

	"github.com/valyala/fasthttp"

	"github.com/attache-mesh/attache/proxy/stats"
)

// maxFilter bounds a regular expression, in bytes.
const maxFilter = 1024

func statParams() []param {
	return []param{
		{"usedonly", "Only include stats that are not zero", nil},
		{"filter", "Regular expression (Google re2) for filtering stats", nil},
	}
}

func (s *Server) stats(q *fasthttp.Args) answer {
	format := string(q.Peek("format"))
	if format == "prometheus" {
		return s.prometheus(q)
	}
	switch string(q.Peek("histogram_buckets")) {
	case "", "summary", "none":
	default:
		return refused("usage: /stats?histogram_buckets=(summary)\n")
	}
	switch format {
	case "", "text":
		return s.rows(q, "", stats.AppendText)
	case "json":
		return s.rows(q, asJSON, stats.AppendJSON)
	}
	return refused("usage: /stats?format=(json|prometheus|text)\n\n")
}

func (s *Server) prometheus(q *fasthttp.Args) answer {
	if b := string(q.Peek("histogram_buckets")); b != "" && b != "cumulative" {
		return refused("unsupported prometheus histogram bucket mode")
	}
	return s.rows(q, "", stats.AppendPrometheus)
}

// rows asks the workers only once the question is known to be good.
func (s *Server) rows(q *fasthttp.Args, kind string, write func([]byte, []stats.Row) []byte) answer {
	f, bad := filter(q)
	if bad != "" {
		return refused(bad)
	}
	rows := s.views.Stats()
	stats.Sort(rows)
	return answer{fasthttp.StatusOK, kind, write(nil, stats.Select(rows, f))}
}

// filter reads the parameters; a second result says what is wrong with them.
func filter(q *fasthttp.Args) (f stats.Filter, bad string) {
	f.UsedOnly = q.Has("usedonly")
	if text := q.Peek("filter"); len(text) > 0 {
		if len(text) > maxFilter {
			return f, "Invalid re2 regex: longer than 1024 bytes"
		}
		name, err := regexp.Compile(string(text))
		if err != nil {
			return f, "Invalid re2 regex"
		}
		f.Name = name
	}
	kind := string(q.Peek("type"))
	if kind == "" || kind == "All" {
		return f, ""
	}
	f.Kinds = true
	for _, f.Only = range []stats.Kind{stats.Counter, stats.Gauge, stats.Distribution, stats.Text} {
		if f.Only.String() == kind {
			return f, ""
		}
	}
	return f, "invalid &type= param"
}
