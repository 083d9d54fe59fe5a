package admin

// /listeners and /drain_listeners (server/admin/listeners_handler.cc).

import (
	"strings"

	"github.com/valyala/fasthttp"
)

type listenerJSON struct {
	Name       string        `json:"name,omitempty"`
	Local      addressJSON   `json:"local_address"`
	Additional []addressJSON `json:"additional_local_addresses,omitempty"`
}

func (s *Server) listeners(q *fasthttp.Args) answer {
	all := s.views.Listeners()
	if string(q.Peek("format")) == "json" {
		return listenersJSON(all)
	}
	var b strings.Builder
	for _, l := range all {
		for _, a := range l.Addresses {
			b.WriteString(oneLine(l.Name) + "::" + oneLine(a.String()) + "\n")
		}
	}
	return ok(b.String())
}

func listenersJSON(all []ListenerView) answer {
	var doc struct {
		Listeners []listenerJSON `json:"listener_statuses,omitempty"`
	}
	for _, l := range all {
		j := listenerJSON{Name: l.Name}
		for i, a := range l.Addresses {
			if i == 0 {
				j.Local = addressOf(a)
			} else {
				j.Additional = append(j.Additional, addressOf(a))
			}
		}
		doc.Listeners = append(doc.Listeners, j)
	}
	return render(doc)
}

func (s *Server) drainListeners(q *fasthttp.Args) answer {
	d := Drain{Graceful: q.Has("graceful"), SkipExit: q.Has("skip_exit"), InboundOnly: q.Has("inboundonly")}
	if d.SkipExit && !d.Graceful {
		return refused("skip_exit requires graceful\n")
	}
	s.views.Drain(d)
	return ok("OK\n")
}
