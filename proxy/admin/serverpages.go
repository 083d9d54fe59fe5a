package admin

// What the program as a whole says and does: /ready, /server_info, /memory,
// /config_dump, /healthcheck/*, /quitquitquit (server/admin/server_info_handler.cc,
// server_cmd_handler.cc, config_dump_handler.cc).

import (
	"bytes"
	"cmp"
	"encoding/json"
	"runtime/metrics"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

func (s *Server) ready(*fasthttp.Args) answer {
	state := s.views.State()
	text := state.String() + "\n"
	if state == Initializing { // beyond Envoy: why
		for _, what := range s.views.Lifecycle().WaitsFor {
			text += "waits for " + what + "\n"
		}
	}
	a := ok(text)
	if state != Live {
		a.status = fasthttp.StatusServiceUnavailable
	}
	return a
}

func (s *Server) healthcheck(healthy bool) func(*fasthttp.Args) answer {
	return func(*fasthttp.Args) answer {
		s.views.SetHealthy(healthy)
		return ok("OK\n")
	}
}

func (s *Server) quit(*fasthttp.Args) answer {
	s.views.Quit()
	return ok("OK\n")
}

func (s *Server) hotRestart(*fasthttp.Args) answer {
	return ok(cmp.Or(s.views.About.HotRestart, noHotRestart))
}

// noHotRestart is Envoy's answer with --disable-hot-restart.
const noHotRestart = "disabled"

func (s *Server) explain(q *fasthttp.Args) answer {
	text, err := s.views.Explain(q.String())
	if err != nil {
		return refused(err.Error() + "\n")
	}
	return ok(text)
}

// infoJSON is admin.v3.ServerInfo; here defaults are written, as Envoy does.
type infoJSON struct {
	Version    string         `json:"version"`
	State      string         `json:"state"`
	Uptime     string         `json:"uptime_current_epoch"`
	UptimeAll  string         `json:"uptime_all_epochs"`
	HotRestart string         `json:"hot_restart_version"`
	Options    map[string]any `json:"command_line_options"`
	Node       nodeJSON       `json:"node"`
	// ours, and only with resources that come from elsewhere
	ConfigSource string `json:"config_source,omitempty"`
	ConfigAge    string `json:"config_age,omitempty"`
}

type nodeJSON struct {
	ID            string         `json:"id"`
	Cluster       string         `json:"cluster"`
	Metadata      map[string]any `json:"metadata,omitempty"`
	Locality      *localityJSON  `json:"locality,omitempty"`
	UserAgentName string         `json:"user_agent_name"`
}

func (s *Server) serverInfo(*fasthttp.Args) answer {
	about := &s.views.About
	up := since(s.now(), about.Started)
	upAll := up
	if !about.FirstStarted.IsZero() {
		upAll = since(s.now(), about.FirstStarted)
	}
	n := nodeJSON{ID: about.Node.ID, Cluster: about.Node.Cluster, Metadata: about.Node.Metadata, UserAgentName: "attache"}
	if l := (localityJSON{about.Node.Region, about.Node.Zone, about.Node.SubZone}); l != (localityJSON{}) {
		n.Locality = &l
	}
	options := about.Options
	if options == nil {
		options = map[string]any{}
	}
	info := infoJSON{Version: about.Version, State: s.views.State().String(), Uptime: up, UptimeAll: upAll, HotRestart: cmp.Or(about.HotRestart, noHotRestart), Options: options, Node: n}
	if s.views.Config != nil {
		source, age := s.views.Config()
		info.ConfigSource, info.ConfigAge = source, strconv.FormatInt(int64(age.Seconds()), 10)+"s"
	}
	return render(info)
}

// since is a time in seconds as protobuf writes it.
func since(now, began time.Time) string {
	return strconv.FormatInt(int64(now.Sub(began).Seconds()), 10) + "s"
}

// configDump is admin.v3.ConfigDump. Envoy's parameters that cut it down are
// refused rather than overlooked.
func (s *Server) configDump(q *fasthttp.Args) answer {
	for _, name := range []string{"resource", "mask", "name_regex"} {
		if len(q.Peek(name)) > 0 {
			return refused(name + " is not supported: the whole dump is to be had without it\n")
		}
	}
	endpoints := q.Has("include_eds")
	pieces, err := s.views.ConfigDump(endpoints)
	if err != nil {
		return failed(err)
	}
	joined := `{"configs":[` + string(bytes.Join(pieces, []byte(","))) + `]}`
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(joined), "", " "); err != nil {
		return failed(err)
	}
	b.WriteByte('\n')
	return okJSON(b.Bytes())
}

// memory is admin.v3.Memory of Go's runtime, read without stopping it.
func (s *Server) memory(*fasthttp.Args) answer {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/metadata/mcache/inuse:bytes"},
		{Name: "/memory/classes/total:bytes"},
	}
	metrics.Read(samples)
	n := func(i int) uint64Text { return uint64Text(samples[i].Value.Uint64()) }
	return render(struct {
		Allocated   uint64Text `json:"allocated"`
		HeapSize    uint64Text `json:"heap_size"`
		Unmapped    uint64Text `json:"pageheap_unmapped"`
		Free        uint64Text `json:"pageheap_free"`
		ThreadCache uint64Text `json:"total_thread_cache"`
		Physical    uint64Text `json:"total_physical_bytes"`
	}{n(0), n(0) + n(1) + n(2) + n(3), n(3), n(2), n(4), n(5) - n(3)})
}
