package stats

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// twoWorkers is what two workers counted, with names that are hard to write.
func twoWorkers() []Row {
	var s Sum
	for worker := range uint64(2) {
		s.Add("cluster.cache.upstream_rq_total", Counter, 100+worker)
		s.Add("cluster.cache.upstream_rq_200", Counter, 7)
		s.Add("cluster.cache.upstream_rq_2xx", Counter, 7)
		s.Add("cluster.web.upstream_rq_total", Counter, 1)
		s.Add("cluster.web.upstream_rq_timeout", Counter, 0)
		s.Add("cluster.web.upstream_cx_active", Gauge, 5-10*worker+2) // 7 up here, 3 down there
		s.Add("listener.127.0.0.1_8080.http.in.downstream_rq_5xx", Counter, 3)
		s.Add("listener.127.0.0.1_8080.downstream_cx_active", Gauge, 2)
		s.Add("memcached.cache.command.get.total", Counter, 50)
		var h Histogram
		for v := range uint64(100) {
			h.Record(v + worker*100)
		}
		s.Record("cluster.cache.upstream_rq_time", &h)
	}
	s.Record("cluster.web.upstream_rq_time", &Histogram{})
	s.Add("server.live", Gauge, 1)
	s.Add(`cluster.<b>"\.upstream_cx_total`, Counter, 1)
	s.Say("control_plane.identifier", "a \"b\"\nc")
	return s.Rows()
}

func TestFormats(t *testing.T) {
	rows := twoWorkers()
	golden(t, "stats.txt", string(AppendText(nil, rows)))
	if doc := AppendJSON(nil, rows); !json.Valid(doc) {
		t.Errorf("not JSON: %s", doc)
	}
	golden(t, "stats.json", strings.ReplaceAll(string(AppendJSON(nil, rows)), `},{"name"`, "},\n{\"name\"")+"\n")
	golden(t, "stats.prom", string(AppendPrometheus(nil, rows)))
}

func TestFormatsOfNothing(t *testing.T) {
	got := string(AppendText(nil, nil)) + string(AppendJSON(nil, nil)) + string(AppendPrometheus(nil, nil))
	if want := `{"stats":[]}`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSumAddsWorkers(t *testing.T) {
	for _, r := range twoWorkers() {
		want, ok := map[string]uint64{
			"cluster.cache.upstream_rq_total": 201, "cluster.web.upstream_cx_active": 4, "server.live": 1,
		}[r.Name]
		if ok && r.Value != want {
			t.Errorf("%s: got %d, want %d", r.Name, r.Value, want)
		}
	}
}

func TestSelect(t *testing.T) {
	tests := map[string]struct {
		filter Filter
		want   string
	}{
		"used only":        {Filter{UsedOnly: true, Name: regexp.MustCompile(`^cluster\.web`)}, "cluster.web.upstream_cx_active cluster.web.upstream_rq_total"},
		"part of the name": {Filter{Name: regexp.MustCompile("rq_time")}, "cluster.cache.upstream_rq_time cluster.web.upstream_rq_time cluster.web.upstream_rq_timeout"},
		"one kind":         {Filter{Kinds: true, Only: Gauge}, "cluster.web.upstream_cx_active listener.127.0.0.1_8080.downstream_cx_active server.live"},
		"used histograms":  {Filter{UsedOnly: true, Kinds: true, Only: Distribution}, "cluster.cache.upstream_rq_time"},
		"texts":            {Filter{UsedOnly: true, Kinds: true, Only: Text}, "control_plane.identifier"},
	}
	for name, tt := range tests {
		var got []string
		for _, r := range Select(twoWorkers(), tt.filter) {
			got = append(got, r.Name)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %v, want %s", name, got, tt.want)
		}
	}
}

func TestClean(t *testing.T) {
	for part, want := range map[string]string{
		"127.0.0.1:80": "127.0.0.1_80", "http://x:1": "http_x_1", ".a.": "a", "a\nb\x00": "a_b_", "[::1]:80": "[__1]_80",
	} {
		if got := Clean(part); got != want {
			t.Errorf("Clean(%q): got %q, want %q", part, got, want)
		}
	}
}
