package main

// /metrics, in Prometheus' text format.

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// sheet is a page of metrics.
type sheet struct{ bytes.Buffer }

// family begins a metric.
func (s *sheet) family(name, kind, help string) {
	fmt.Fprintf(s, "# HELP attache_control_%s %s\n# TYPE attache_control_%s %s\n", name, help, name, kind)
}

// sample writes a value of a metric; labels are names and values in turn.
func (s *sheet) sample(name string, value float64, labels ...string) {
	s.WriteString("attache_control_" + name)
	for i := 0; i < len(labels); i += 2 {
		s.WriteString(map[bool]string{true: "{", false: ","}[i == 0] + labels[i] + `="` + escape(labels[i+1]) + `"`)
	}
	if len(labels) > 0 {
		s.WriteByte('}')
	}
	s.WriteString(" " + strconv.FormatFloat(value, 'g', -1, 64) + "\n")
}

// one is a family with one sample.
func (s *sheet) one(name, kind, help string, value float64) {
	s.family(name, kind, help)
	s.sample(name, value)
}

func escape(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text)
}

// metrics is the page.
func (p *program) metrics() []byte {
	st := p.status()
	s := &sheet{}
	s.family("info", "gauge", "Always 1.")
	s.sample("info", 1, "version", version, "go", runtime.Version())
	s.one("ready", "gauge", "1 while the xDS port is open.", truth(st.State == serving.String()))
	s.one("uptime_seconds", "gauge", "Since the program began.", st.Now.Sub(st.Started).Seconds())
	p.fileMetrics(s)
	resourceMetrics(s, st)
	routeMetrics(s, st)
	serviceMetrics(s, st)
	planMetrics(s, st)
	secretMetrics(s, st)
	loadMetrics(s, st)
	streamMetrics(s, st)
	p.meter.write(s)
	p.webhook.write(s)
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	s.one("memory_heap_bytes", "gauge", "Heap in use.", float64(memory.HeapInuse))
	s.one("memory_sys_bytes", "gauge", "Memory that the program has from the system.", float64(memory.Sys-memory.HeapReleased))
	s.one("goroutines", "gauge", "Goroutines.", float64(runtime.NumGoroutine()))
	return s.Bytes()
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (p *program) fileMetrics(s *sheet) {
	p.file.mu.Lock()
	defer p.file.mu.Unlock()
	s.one("config_read_timestamp_seconds", "gauge", "When the configuration in use was read.", float64(p.file.current.at.Unix()))
	s.one("config_refused", "gauge", "1 while the file as it is now is refused.", truth(len(p.file.problems) > 0))
	s.family("config_reads_total", "counter", "Contents of the file that were taken or refused.")
	s.sample("config_reads_total", float64(p.file.reloads), "result", "taken")
	s.sample("config_reads_total", float64(p.file.failures), "result", "refused")
}

func resourceMetrics(s *sheet, st status) {
	refused := 0
	for _, r := range st.Resources {
		refused += int(truth(len(r.Problems) > 0))
	}
	s.family("resources", "gauge", "Resources of kind Ambassador, by what became of them.")
	s.sample("resources", float64(len(st.Resources)-refused), "state", "accepted")
	s.sample("resources", float64(refused), "state", "refused")
}

func routeMetrics(s *sheet, st status) {
	counts := map[[2]string]int{}
	for _, r := range st.Routes {
		state := "accepted"
		if !r.Accepted {
			state = "refused"
		} else if len(r.Problems) > 0 {
			state = "in_part"
		}
		counts[[2]string{r.Kind, state}]++
	}
	s.family("gateway_routes", "gauge", "Routes of the Gateway API with Services among their parents, by what became of them.")
	for _, kind := range []string{"GRPCRoute", "HTTPRoute"} {
		for _, state := range []string{"accepted", "in_part", "refused"} {
			s.sample("gateway_routes", float64(counts[[2]string{kind, state}]), "kind", kind, "state", state)
		}
	}
}

func serviceMetrics(s *sheet, st status) {
	s.family("service_age_seconds", "gauge", "Age of what is used of a service.")
	for _, v := range st.Services {
		s.sample("service_age_seconds", v.AgeSeconds, "service", v.Name, "source", v.Source)
	}
	s.family("service_state", "gauge", "1 for the state that a service is in.")
	for _, v := range st.Services {
		s.sample("service_state", 1, "service", v.Name, "source", v.Source, "state", v.State)
	}
	s.family("service_answers_total", "counter", "Answers of a service's source.")
	for _, v := range st.Services {
		s.sample("service_answers_total", float64(v.Answers), "service", v.Name, "source", v.Source)
	}
	s.family("service_failures_total", "counter", "Failures of a service's source, by kind.")
	for _, v := range st.Services {
		for kind, n := range v.Failures {
			s.sample("service_failures_total", float64(n), "service", v.Name, "source", v.Source, "kind", kind)
		}
	}
	s.family("service_doubted_total", "counter", "Answers that were held back: empty, or with too few instances.")
	for _, v := range st.Services {
		s.sample("service_doubted_total", float64(v.Doubted), "service", v.Name, "source", v.Source)
	}
	s.family("set_instances", "gauge", "Instances as they are sent.")
	for _, v := range st.Sets {
		for health, n := range v.Sent {
			s.sample("set_instances", float64(n), "set", v.Name, "health", health)
		}
	}
}

func planMetrics(s *sheet, st status) {
	figures := []struct {
		name, help string
		of         func(*planStatus) float64
	}{
		{"plan_moved_share", "Share of keys that the last change of a hashed set moves.", func(p *planStatus) float64 { return p.MovedShare }},
		{"plan_least_share", "The smallest share that any table would move for it.", func(p *planStatus) float64 { return p.LeastShare }},
		{"plan_between_share", "Share that moves between instances that stay.", func(p *planStatus) float64 { return p.BetweenShare }},
		{"plan_max_over_mean", "Largest load of an instance afterwards over what it is due.", func(p *planStatus) float64 { return p.MaxOverMean }},
		{"plan_held", "1 while the change is held back.", func(p *planStatus) float64 { return truth(p.Held) }},
	}
	for _, f := range figures {
		s.family(f.name, "gauge", f.help)
		for _, v := range st.Sets {
			if v.Plan != nil {
				s.sample(f.name, f.of(v.Plan), "set", v.Name)
			}
		}
	}
	oldest, held := planTimes(st.Sets, st.Now)
	s.one("plans_held", "gauge", "Changes that are held back.", float64(held))
	s.one("plans_held_oldest_seconds", "gauge", "How long the oldest of them has waited.", oldest)
}

func secretMetrics(s *sheet, st status) {
	s.family("secret_expires_timestamp_seconds", "gauge", "When what is sent as a secret ends.")
	for _, v := range st.Secrets {
		if v.Until != nil {
			s.sample("secret_expires_timestamp_seconds", float64(v.Until.Unix()), "secret", v.Name)
		}
	}
	s.family("secret_failing", "gauge", "1 while a secret is not to be had, or not renewed.")
	for _, v := range st.Secrets {
		s.sample("secret_failing", truth(v.State == "failing"), "secret", v.Name)
	}
}

func loadMetrics(s *sheet, st status) {
	s.one("load_reports_total", "counter", "Load reports of sidecars (LRS).", float64(st.LoadReports))
	figures := []struct {
		name, help string
		of         func(loadStatus) uint64
	}{
		{"load_issued_total", "Requests that sidecars report to have sent.", func(l loadStatus) uint64 { return l.Issued }},
		{"load_success_total", "Of those, the good ones.", func(l loadStatus) uint64 { return l.Success }},
		{"load_failed_total", "Of those, the failed ones.", func(l loadStatus) uint64 { return l.Failed }},
		{"load_dropped_total", "Requests that limits of sidecars turned away.", func(l loadStatus) uint64 { return l.Dropped }},
	}
	for _, f := range figures {
		s.family(f.name, "counter", f.help)
		for _, l := range st.Loads {
			s.sample(f.name, float64(f.of(l)), "ambassador", l.Ambassador, "cluster", l.Cluster,
				"region", l.Region, "zone", l.Zone, "sub_zone", l.SubZone, "priority", strconv.FormatUint(uint64(l.Priority), 10))
		}
	}
}

func streamMetrics(s *sheet, st status) {
	t := st.Totals
	s.one("streams_open", "gauge", "xDS streams that are open.", float64(t.Open))
	s.one("streams_waiting", "gauge", "Streams that wait to be admitted.", float64(t.Waiting))
	s.one("streams_total", "counter", "Streams that were begun.", float64(t.Streams))
	s.one("streams_refused_total", "counter", "Streams that were not admitted, identified or selected.", float64(t.Refused))
	s.one("responses_total", "counter", "Responses that were sent.", float64(t.Responses))
	s.one("acks_total", "counter", "Responses that clients accepted.", float64(t.Acks))
	s.one("nacks_total", "counter", "Responses that clients refused something of.", float64(t.Nacks))
	s.one("publishes_total", "counter", "Bundles that were published.", float64(t.Publishes))
	s.one("resources_shared", "gauge", "Distinct resources of all groups.", float64(t.Shared))
	s.one("quarantines_total", "counter", "Resources that were put in quarantine.", float64(t.Quarantines))
	programs := map[string]int{}
	for _, c := range st.Sidecars {
		if _, known := programs[c.Program]; !known && len(programs) >= maxRefusals {
			c.Program = "other"
		}
		programs[c.Program]++
	}
	s.family("program_streams", "gauge", "Streams by program and version.")
	for _, program := range sortedKeys(programs, func(k string) string { return k }) {
		s.sample("program_streams", float64(programs[program]), "program", program)
	}
	s.family("quarantined", "gauge", "1 for each resource in quarantine.")
	for _, q := range st.Quarantine {
		s.sample("quarantined", 1, "group", q.Group, "client", q.Client, "type", q.Type, "resource", q.Name)
	}
}

// write writes what the meter counts.
func (m *meter) write(s *sheet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.family("push_seconds", "histogram", "From a source's event to the last client's answer.")
	sum := uint64(0)
	for i, n := range m.pushes {
		sum += n
		bound := "+Inf"
		if i < len(pushBounds) {
			bound = strconv.FormatFloat(pushBounds[i], 'g', -1, 64)
		}
		s.sample("push_seconds_bucket", float64(sum), "le", bound)
	}
	s.sample("push_seconds_sum", m.pushSum)
	s.sample("push_seconds_count", float64(sum))
	s.family("plans_total", "counter", "Changes of hashed sets, by what became of them.")
	for _, k := range sortedKeys(m.plans, func(k planKey) string { return k.set + " " + k.outcome }) {
		s.sample("plans_total", float64(m.plans[k]), "set", k.set, "outcome", k.outcome)
	}
	s.family("refusals_total", "counter", "NACKs by type and program.")
	for _, k := range sortedKeys(m.refusals, func(k refusalKey) string { return k.typeName + " " + k.program }) {
		s.sample("refusals_total", float64(m.refusals[k]), "type", k.typeName, "program", k.program)
	}
}

func sortedKeys[K comparable, V any](m map[K]V, text func(K) string) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b K) int { return strings.Compare(text(a), text(b)) })
	return keys
}
