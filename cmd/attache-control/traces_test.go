package main

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/attache-mesh/attache/xds/server/control"
)

// collector is a collector of traces that writes down the names of spans and
// how long they took.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans map[string]time.Duration
}

func (c *collector) Export(_ context.Context, req *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range req.GetResourceSpans() {
		for _, s := range r.GetScopeSpans() {
			for _, span := range s.GetSpans() {
				c.spans[span.GetName()] = time.Duration(span.GetEndTimeUnixNano() - span.GetStartTimeUnixNano())
			}
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

// TestTraces: a push goes to the collector that the environment names, with the
// times that it took.
func TestTraces(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{spans: map[string]time.Duration{}}
	s := grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(s, c)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	defer func() { s.Stop(); <-served }()

	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+l.Addr().String())
	traces, err := newTraces(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	traces.pushed(control.Push{
		Services: []string{"file://a"}, Began: at(0), Turned: at(10), Ended: at(50),
		Groups: []control.GroupPush{{Group: "web/attache", Generation: 2, Published: at(11), Ended: at(50), Watches: 4}},
	})
	traces.close()

	want := map[string]time.Duration{"push": 50 * time.Millisecond, "gather": 10 * time.Millisecond, "publish": 40 * time.Millisecond}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, took := range want {
		if c.spans[name] != took {
			t.Errorf("%s took %v, want %v", name, c.spans[name], took)
		}
	}
}

// TestTracesAreOff without an endpoint, or when the environment says so.
func TestTracesAreOff(t *testing.T) {
	for _, env := range [][]string{
		{},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_SDK_DISABLED", "true"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER", "none"},
	} {
		t.Run("", func(t *testing.T) {
			for pair := range slices.Chunk(env, 2) {
				t.Setenv(pair[0], pair[1])
			}
			traces, err := newTraces(t.Context(), slog.New(slog.DiscardHandler))
			if err != nil || traces.provider != nil {
				t.Errorf("traces are on: %v", err)
			}
			traces.pushed(control.Push{})
			traces.close()
		})
	}
}
