package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Tracer makes spans. Its methods may be called concurrently. A nil Tracer makes none; it is what there is when tracing
// is off.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	system   string
	cfg      Config
}

// Open returns the tracer that cfg asks for, or nil when tracing is off. It does not connect: a collector that can't be
// reached costs nothing but the spans, and is logged once until it is reached again. Whoever opens a tracer closes it.
func Open(ctx context.Context, cfg Config) (*Tracer, error) {
	if cfg.Protocol == "" {
		return nil, nil //nolint:nilnil // a nil tracer works
	}

	about, err := describe(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open traces: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}

	out, err := newExporter(ctx, cfg.Protocol)
	if err != nil {
		return nil, fmt.Errorf("open traces: %w", err)
	}

	provider := sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithBatcher(&exporter{SpanExporter: out, log: cfg.Logger}))

	return &Tracer{provider: provider, tracer: provider.Tracer(scope), cfg: cfg}, nil
}

func newExporter(ctx context.Context, protocol string) (sdk.SpanExporter, error) {
	switch protocol {
	case GRPC:
		return otlptracegrpc.New(ctx)
	case HTTP:
		return otlptracehttp.New(ctx)
	default:
		return nil, fmt.Errorf("protocol %q: %w", protocol, errProtocol)
	}
}

// describe says whose spans they are. What the environment says comes before what cfg does. Nothing is taken from the
// command line, which may hold a secret.
func describe(ctx context.Context, cfg Config) (*resource.Resource, error) {
	own := []attribute.KeyValue{attribute.String("service.name", cmp.Or(cfg.Service, "woodwork"))}

	for key, value := range map[attribute.Key]string{
		"service.namespace": cfg.Namespace, "service.version": cfg.Version, "service.instance.id": cfg.Instance,
	} {
		if value != "" {
			own = append(own, key.String(value))
		}
	}

	return resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(own...), resource.WithFromEnv())
}

// On returns a tracer whose spans say that they are about a bus of this kind, such as "nats".
func (t *Tracer) On(system string) *Tracer {
	if t == nil {
		return nil
	}

	on := *t
	on.system = system

	return &on
}

// flushTimeout bounds what the last spans may cost a process that wants to end.
const flushTimeout = 2 * time.Second

// Close exports the spans that have ended, for at most two seconds, and logs when it could not. It is idempotent.
func (t *Tracer) Close(ctx context.Context) {
	if t == nil {
		return
	}

	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()

	if err := t.provider.Shutdown(ctx); err != nil {
		t.cfg.Logger.Warn().Err(err).Msg("the last traces did not reach the collector")
	}
}
