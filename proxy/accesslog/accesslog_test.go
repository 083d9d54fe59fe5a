package accesslog

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/attache-mesh/attache/proxy/config"
	"github.com/attache-mesh/attache/proxy/loop"
	"github.com/attache-mesh/attache/proxy/streaminfo"
)

func aLog(t *testing.T, files *Files, path, format string) *Log {
	t.Helper()
	f, err := config.ParseFormat(format)
	if err != nil {
		t.Fatal(err)
	}
	l, err := New([]config.AccessLog{{Path: path, Format: config.BodyFormat{Text: f}}}, files)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func entry(status int) *streaminfo.View {
	return &streaminfo.View{Info: &streaminfo.Info{Status: status}}
}

// Entries of two logs to one file come whole and in order, before and after the
// file was moved away; what is left at the end is written.
func TestEntriesAreWritten(t *testing.T) {
	sim := loop.NewSim(1, nil)
	w := sim.Worker("proxy")
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	files := NewFiles(1, nil)
	one, two := aLog(t, files, path, "one %RESPONSE_CODE%\n"), aLog(t, files, path, "two %RESPONSE_CODE%\n")
	w.Post(func() { one.Write(w, entry(200)); two.Write(w, entry(404)) })
	if err := sim.RunFor(2 * time.Second); err != nil {
		t.Fatal(err)
	}
	waitFor(t, path, "one 200\ntwo 404\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	files.Reopen()
	w.Post(func() { one.Write(w, entry(500)) })
	if err := sim.RunFor(time.Millisecond); err != nil {
		t.Fatal(err)
	}
	w.Stop()
	if err := sim.RunFor(time.Second); err != nil {
		t.Fatal(err)
	}
	files.Close()
	waitFor(t, path, "one 500\n")
	waitFor(t, path+".1", "one 200\ntwo 404\n")
	sim.Close()
}

// waitFor waits for what another goroutine writes.
func waitFor(t *testing.T, path, want string) {
	t.Helper()
	for range 500 {
		if got, err := os.ReadFile(path); err == nil && string(got) == want {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	got, err := os.ReadFile(path)
	t.Fatalf("%s has %q (%v), want %q", path, got, err, want)
}

// A disk that stalls costs entries, not requests: what the queue does not take is
// dropped and counted.
func TestStalledDiskDrops(t *testing.T) {
	f := &File{set: NewFiles(1, nil), queue: make(chan []byte, 1), free: make(chan []byte, 1)}
	p := &page{f: f, buf: []byte("a")}
	p.hand()
	p.buf = append(p.buf, "b"...)
	p.hand()
	if f.set.dropped.Load() != 1 || len(p.buf) != 0 {
		t.Errorf("%d dropped, %q left", f.set.dropped.Load(), p.buf)
	}
}

func TestFilters(t *testing.T) {
	v := entry(503)
	v.Flags, v.Log, v.RequestID = streaminfo.NoHealthyUpstream, streaminfo.DownstreamEnd, []byte("00000010-")
	v.Times = streaminfo.Times{Began: int64(time.Second), Ended: int64(3 * time.Second)}
	v.Request = &streaminfo.Request{Path: []byte("/x"), Headers: []streaminfo.Header{{Name: []byte("a"), Value: []byte("b")}}}
	v.Metadata.Set("ns", map[string]config.Value{"k": {Kind: config.ValueText, Text: "v"}})
	yes := config.LogFilter{Kind: config.LogNotHealthCheck}
	no := config.LogFilter{Kind: config.LogTraceable}
	meta := func(key string) *config.MetadataMatch {
		return &config.MetadataMatch{Namespace: "ns", Path: []string{key}, Value: config.ValueMatch{
			Kind: config.MatchString, String: config.StringMatch{Kind: config.StringExact, Value: "v"},
		}}
	}
	for name, test := range map[string]struct {
		f    config.LogFilter
		want bool
	}{
		"status at least": {config.LogFilter{Kind: config.LogStatus, Op: config.CompareAtLeast, Value: 500}, true},
		"status at most":  {config.LogFilter{Kind: config.LogStatus, Op: config.CompareAtMost, Value: 500}, false},
		"status not":      {config.LogFilter{Kind: config.LogStatus, Op: config.CompareNot, Value: 503}, false},
		"duration":        {config.LogFilter{Kind: config.LogDuration, Value: 2000}, true},
		"and":             {config.LogFilter{Kind: config.LogAnd, All: []config.LogFilter{yes, no}}, false},
		"or":              {config.LogFilter{Kind: config.LogOr, All: []config.LogFilter{no, yes}}, true},
		"any flag":        {config.LogFilter{Kind: config.LogFlags}, true},
		"its flag":        {config.LogFilter{Kind: config.LogFlags, Flags: []string{"NR", "UH"}}, true},
		"other flag":      {config.LogFilter{Kind: config.LogFlags, Flags: []string{"NR"}}, false},
		"header":          {config.LogFilter{Kind: config.LogHeader, Header: config.HeaderMatch{Name: "a", Kind: config.HeaderPresent}}, true},
		"gRPC status":     {config.LogFilter{Kind: config.LogGRPCStatus, Numbers: []int{14}}, true},
		"not that":        {config.LogFilter{Kind: config.LogGRPCStatus, Numbers: []int{14}, Exclude: true}, false},
		"log type":        {config.LogFilter{Kind: config.LogLogType, Numbers: []int{6}}, true},
		"metadata":        {config.LogFilter{Kind: config.LogMetadata, Metadata: meta("k")}, true},
		"no metadata":     {config.LogFilter{Kind: config.LogMetadata, Metadata: meta("z"), Missing: true}, true},
		"by id":           {config.LogFilter{Kind: config.LogFraction, Fraction: config.Fraction{Num: 17, Den: 100}}, true},
		"not by id":       {config.LogFilter{Kind: config.LogFraction, Fraction: config.Fraction{Num: 16, Den: 100}}, false},
	} {
		if got := NewFilter(&test.f).Pass(v, rand.New(rand.NewPCG(1, 1))); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Every flag that may be configured is one that can be raised.
func TestFlagsAreKnown(t *testing.T) {
	for _, short := range config.ResponseFlags() {
		if streaminfo.FlagOf(short) == 0 {
			t.Errorf("%s is no flag", short)
		}
	}
	if strings.Join(config.ResponseFlags(), "") == "" {
		t.Error("no flags")
	}
}

// An entry costs its worker no allocation.
func TestWriteAllocatesNothing(t *testing.T) {
	sim := loop.NewSim(1, nil)
	w := sim.Worker("proxy")
	files := NewFiles(1, nil)
	l := aLog(t, files, filepath.Join(t.TempDir(), "log"), config.DefaultLogFormat)
	v := entry(200)
	n := -1.0
	w.Post(func() {
		l.Write(w, v)
		n = testing.AllocsPerRun(100, func() { l.Write(w, v) })
	})
	if err := sim.RunFor(time.Second); err != nil {
		t.Fatal(err)
	}
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	w.Stop()
	_ = sim.RunFor(time.Second)
	files.Close()
	sim.Close()
}
