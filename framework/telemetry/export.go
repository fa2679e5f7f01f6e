package telemetry

import (
	"context"
	"sync/atomic"

	"github.com/rs/zerolog"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// exporter logs an outage of the collector once, when it begins. What can't be exported is dropped: the traces of a
// while are not worth the memory, nor the silence of the log.
type exporter struct {
	sdk.SpanExporter

	log  zerolog.Logger
	down atomic.Bool
}

// ExportSpans implements [sdk.SpanExporter].
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)

	switch {
	case err != nil && e.down.CompareAndSwap(false, true):
		e.log.Warn().Err(err).Msg("traces are lost: the collector did not take them; check OTEL_EXPORTER_OTLP_ENDPOINT")
	case err == nil && e.down.CompareAndSwap(true, false):
		e.log.Info().Msg("the collector takes traces again")
	}

	return nil // said already, and once is enough
}
