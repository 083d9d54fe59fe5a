package main

// OpenTelemetry: a trace for each push, from the source's event to the last
// client's answer. Off unless the environment names an endpoint.

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/attache-mesh/attache/xds/server/control"
)

type traces struct {
	provider *sdktrace.TracerProvider // nil: off
	tracer   trace.Tracer
	log      *slog.Logger
}

// tracesWanted says that the environment asks for traces, in the standard
// variables of OpenTelemetry's SDKs; the exporter reads the rest of them itself.
func tracesWanted() bool {
	endpoint := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
	return endpoint != "" && os.Getenv("OTEL_SDK_DISABLED") != "true" && os.Getenv("OTEL_TRACES_EXPORTER") != "none"
}

func newTraces(ctx context.Context, log *slog.Logger) (*traces, error) {
	if !tracesWanted() {
		return &traces{}, nil
	}
	exporter, err := otlptracegrpc.New(ctx)
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "attache-control"), attribute.String("service.version", version)),
		resource.WithFromEnv(), resource.WithTelemetrySDK(), resource.WithHost())
	if err != nil {
		log.Warn("traces do not say all of where they come from", "error", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return &traces{provider: provider, tracer: provider.Tracer("github.com/attache-mesh/attache/cmd/attache-control"), log: log}, nil
}

// pushed writes down a push that is over.
func (t *traces) pushed(p control.Push) {
	if t.provider == nil {
		return
	}
	ctx, push := t.tracer.Start(context.Background(), "push", trace.WithTimestamp(p.Began), trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attribute.StringSlice("attache.services", p.Services), attribute.Int("attache.groups", len(p.Groups))))
	_, gather := t.tracer.Start(ctx, "gather", trace.WithTimestamp(p.Began))
	gather.End(trace.WithTimestamp(p.Turned))
	for _, g := range p.Groups {
		_, one := t.tracer.Start(ctx, "publish", trace.WithTimestamp(p.Turned), trace.WithAttributes(
			attribute.String("attache.group", g.Group), attribute.Int64("attache.generation", int64(g.Generation)),
			attribute.Int("attache.watches", g.Watches)))
		one.AddEvent("published", trace.WithTimestamp(g.Published))
		one.End(trace.WithTimestamp(g.Ended))
	}
	push.End(trace.WithTimestamp(p.Ended))
}

// close sends what is left, for a few seconds at most.
func (t *traces) close() {
	if t.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("traces are lost", "error", err)
	}
}
