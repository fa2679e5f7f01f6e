package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The keys of W3C trace context.
const (
	traceParent = "traceparent"
	traceState  = "tracestate"
)

const (
	// maxParent bounds a "traceparent" in bytes; those of today have 55.
	maxParent = 256
	// maxState bounds a "tracestate" in bytes: what W3C asks everyone to carry.
	maxState = 512
)

// Bounded returns a trace context that is short enough to travel with everything: one whose state is too long goes on
// without it, and one whose parent is too long is none. Tracing never stops a message.
func Bounded(header map[string]string) map[string]string {
	parent, state := header[traceParent], header[traceState]

	switch {
	case len(parent) > maxParent:
		return nil
	case len(state) > maxState:
		return map[string]string{traceParent: parent}
	default:
		return header
	}
}

// Inject puts the W3C trace context of ctx into a header, as "traceparent" and "tracestate". It does nothing when ctx
// has none, as when tracing is off.
func Inject(ctx context.Context, header map[string]string) {
	inject(trace.SpanContextFromContext(ctx), header)
}

func inject(sc trace.SpanContext, header map[string]string) {
	if !sc.IsValid() {
		return
	}

	const version = "00-"

	header[traceParent] = version + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + sc.TraceFlags().String()
	if state := sc.TraceState().String(); state != "" && len(state) <= maxState {
		header[traceState] = state
	}
}

// Extract returns ctx with the trace context that a header holds: what is traced with it becomes a child of the sender's
// span. A header without one, or with one that can't be read, changes nothing.
func Extract(ctx context.Context, header map[string]string) context.Context {
	if header[traceParent] == "" {
		return ctx
	}

	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier(header))
}

// carried returns the span that a header names, whatever ctx holds.
func carried(ctx context.Context, header map[string]string) trace.SpanContext {
	return trace.SpanContextFromContext(Extract(trace.ContextWithSpanContext(ctx, trace.SpanContext{}), header))
}
