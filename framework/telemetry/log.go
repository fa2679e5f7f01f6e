package telemetry

import (
	"context"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/trace"
)

// Logger returns log with the ids of the span in ctx on every line, as "trace_id" and "span_id"; as it is without a span.
func Logger(ctx context.Context, log zerolog.Logger) zerolog.Logger {
	return identified(trace.SpanContextFromContext(ctx), log)
}

// Logger is like the function, with the span's own ids.
func (s *Span) Logger(log zerolog.Logger) zerolog.Logger {
	if s == nil {
		return log
	}

	return identified(s.span.SpanContext(), log)
}

func identified(sc trace.SpanContext, log zerolog.Logger) zerolog.Logger {
	if !sc.IsValid() {
		return log
	}

	return log.With().Str("trace_id", sc.TraceID().String()).Str("span_id", sc.SpanID().String()).Logger()
}
