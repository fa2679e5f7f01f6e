package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Reading is what a reader of a stream has seen. It becomes the span "receive <target>" at its end, because only then
// it is known which attempt it goes on from: the one whose text the reader ended with. Its methods do nothing on a nil
// Reading. One goroutine at a time may call them.
type Reading struct {
	ctx    context.Context //nolint:containedctx // that in which the span is made at the end
	tracer *Tracer
	stream Stream
	begun  time.Time
	writer trace.SpanContext
	links  []trace.Link
	events []happened
	chunks uint64
	over   bool
}

// happened is an event with its time.
type happened struct {
	name  string
	at    time.Time
	attrs []attribute.KeyValue
}

// Read begins a reading. The trace context in ctx is that of whoever asked to read, if any, which the span links to.
func (t *Tracer) Read(ctx context.Context, s Stream) *Reading {
	if t == nil {
		return nil
	}

	r := &Reading{ctx: context.WithoutCancel(ctx), tracer: t, stream: s, begun: time.Now()}
	if asked := trace.SpanContextFromContext(ctx); asked.IsValid() {
		r.links = append(r.links, link(asked, linkRequest))
	}

	return r
}

// Attempt notes which attempt is read from now on, with the trace context of its first frame.
func (r *Reading) Attempt(attempt int, writer map[string]string) {
	if r == nil || attempt == r.stream.Attempt {
		return
	}

	if r.writer.IsValid() {
		r.links = append(r.links, link(r.writer, linkBefore))
	}

	r.stream.Attempt, r.writer = attempt, carried(r.ctx, writer)
}

// Chunk notes a chunk.
func (r *Reading) Chunk() {
	if r == nil {
		return
	}

	r.chunks++
	if r.chunks == 1 {
		r.note(eventFirstChunk)
	}
}

// Superseded notes that the chunks from an index on were replaced.
func (r *Reading) Superseded(from uint64) {
	if r != nil {
		r.note(eventSuperseded, keyFrom.Int64(int64(from)))
	}
}

func (r *Reading) note(name string, attrs ...attribute.KeyValue) {
	r.events = append(r.events, happened{name, time.Now(), attrs})
}

// End makes the span: outcome is the state that the stream ended in, or [Abandoned] when the reader left before. A
// reading that began within a stream doesn't know what it goes on from, and makes none. Only the first
// call counts.
func (r *Reading) End(outcome string) {
	if r == nil || r.over || !r.writer.IsValid() {
		return
	}

	r.over = true

	if name := eventOf(outcome); name != "" {
		r.note(name)
	}

	attrs := append(r.stream.attributes(r.tracer.system, "receive"),
		keyOutcome.String(outcome), keyChunks.Int64(int64(r.chunks)))

	_, span := r.tracer.tracer.Start(trace.ContextWithRemoteSpanContext(r.ctx, r.writer), "receive "+r.stream.to(),
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(r.begun),
		trace.WithAttributes(attrs...), trace.WithLinks(r.links...))

	for _, e := range r.events {
		span.AddEvent(e.name, trace.WithTimestamp(e.at), trace.WithAttributes(e.attrs...))
	}

	if outcome == stateFailed {
		span.SetStatus(codes.Error, stateFailed)
	}

	span.End()
}
