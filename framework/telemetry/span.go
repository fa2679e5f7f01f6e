package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Span is what is recorded of one piece of work. Whoever got it ends it. Its methods may be called concurrently, and on
// a nil Span, where they do nothing; after the end they do nothing either.
type Span struct{ span trace.Span }

// End ends the span of something that went well, or whose fault was noted before.
func (s *Span) End() {
	if s != nil {
		s.span.End()
	}
}

// Trace returns the W3C trace context of the span, for others to go on from; fallback for a nil Span.
func (s *Span) Trace(fallback map[string]string) map[string]string {
	if s == nil {
		return fallback
	}

	header := make(map[string]string, 2)
	inject(s.span.SpanContext(), header)

	return header
}

// Follows links the span to the attempt before, whose trace context the log holds. Without one it does nothing.
func (s *Span) Follows(ctx context.Context, before map[string]string) {
	if s == nil {
		return
	}

	if sc := carried(ctx, before); sc.IsValid() {
		s.span.AddLink(link(sc, linkBefore))
	}
}

// Fail notes that the work failed, and the kind of err but not its text. A nil err is no failure.
func (s *Span) Fail(err error) {
	if s != nil && err != nil {
		s.fail(errorType(err))
	}
}

func (s *Span) fail(kind string) {
	s.span.SetAttributes(keyErrorType.String(kind))
	s.span.SetStatus(codes.Error, kind)
}

func link(sc trace.SpanContext, to string) trace.Link {
	return trace.Link{SpanContext: sc, Attributes: []attribute.KeyValue{keyLink.String(to)}}
}

// begin begins a span below the one that a header names, or else the one in ctx.
func (t *Tracer) begin(
	ctx context.Context, from map[string]string, name string, kind trace.SpanKind, attrs []attribute.KeyValue,
) (context.Context, *Span) {
	ctx, span := t.tracer.Start( //nolint:spancheck // the caller ends it
		Extract(ctx, from), name, trace.WithSpanKind(kind), trace.WithAttributes(attrs...))

	return ctx, &Span{span} //nolint:spancheck // the same
}

// child begins a span below the one in ctx, with the same provider; nil when there is none.
func child(
	ctx context.Context, name string, kind trace.SpanKind, attrs []attribute.KeyValue,
) (context.Context, *Span) {
	above := trace.SpanFromContext(ctx)
	if !above.SpanContext().IsValid() {
		return ctx, nil
	}

	ctx, span := above.TracerProvider().Tracer(scope).Start( //nolint:spancheck // the caller ends it
		ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attrs...))

	return ctx, &Span{span} //nolint:spancheck // the same
}
