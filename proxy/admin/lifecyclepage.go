package admin

// /lifecycle, which Envoy has not: where in its life the program is, and why.

import (
	"time"

	"github.com/valyala/fasthttp"

	"github.com/attache-mesh/attache/proxy/lifecycle"
)

// stepJSON is a state; times are as of RFC 3339.
type stepJSON struct {
	State    string `json:"state"`
	Since    string `json:"since"`
	Why      string `json:"why"`
	Deadline string `json:"deadline,omitempty"`
}

func stepOf(s lifecycle.Step) stepJSON {
	j := stepJSON{State: s.State.String(), Since: clock(s.Since), Why: s.Why}
	if !s.Deadline.IsZero() {
		j.Deadline = clock(s.Deadline)
	}
	return j
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func (s *Server) lifecycle(*fasthttp.Args) answer {
	v := s.views.Lifecycle()
	doc := struct {
		stepJSON
		WaitsFor []string   `json:"waits_for,omitempty"`
		Before   []stepJSON `json:"before,omitempty"`
	}{stepJSON: stepOf(v.Step), WaitsFor: v.WaitsFor}
	for _, b := range v.Before {
		doc.Before = append(doc.Before, stepOf(b))
	}
	return render(doc)
}
