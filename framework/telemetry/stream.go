package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Stream says which attempt at which stream a span is about.
type Stream struct {
	Session, Stream   string
	Component, Target string
	Turn, Root        string
	Attempt           int
}

// userTarget is the destination of a stream that has no target.
const userTarget = "output"

func (s *Stream) to() string {
	if s.Target == "" {
		return userTarget
	}

	return s.Target
}

func (s *Stream) attributes(system, operation string) []attribute.KeyValue {
	return []attribute.KeyValue{
		keySystem.String(system), keyOperation.String(operation), keyOperationIs.String(operation),
		keyDestination.String(s.to()), keyConversation.String(s.Session), keyMessage.String(s.Stream),
		keyComponent.String(s.Component), keyStream.String(s.Stream), keyTurn.String(s.Turn), keyRoot.String(s.Root),
		keyAttempt.Int(s.Attempt),
	}
}

// Send begins the span "send <target>" of a writer, from the opening of an attempt to its end. It goes on from the trace
// context given, or else from that in ctx.
func (t *Tracer) Send(ctx context.Context, from map[string]string, s Stream) *Span {
	if t == nil {
		return nil
	}

	_, span := t.begin(ctx, from, "send "+s.to(), trace.SpanKindProducer, s.attributes(t.system, "send"))

	return span
}

// FirstChunk notes that the first chunk is stored, or was read.
func (s *Span) FirstChunk() {
	if s != nil {
		s.span.AddEvent(eventFirstChunk)
	}
}

// How the work on a stream ended, besides the states that the stream itself can end in.
const (
	// Abandoned: left without an end, so that a later attempt goes on.
	Abandoned = "abandoned"
	// Superseded: a later attempt took over while this one was still writing.
	Superseded = "superseded"
	// Broken: what was sent could not be stored.
	Broken = "broken"
)

// The states that a stream ends in, as package bus names them.
const (
	stateFailed    = "failed"
	stateCancelled = "cancelled"
)

// EndStream ends a writer's span: how the stream ended, or why the writer left it, and how many chunks it held then. err
// is the fault, if there was one; of it the kind is noted.
func (s *Span) EndStream(outcome string, chunks uint64, err error) {
	if s == nil {
		return
	}

	s.span.SetAttributes(keyOutcome.String(outcome), keyChunks.Int64(int64(chunks)))
	s.Fail(err)

	if name := eventOf(outcome); name != "" {
		s.span.AddEvent(name)
	}

	if outcome == stateFailed && err == nil {
		s.fail(stateFailed)
	}

	s.span.End()
}

// eventOf names the event of an outcome that is one, or is empty.
func eventOf(outcome string) string {
	switch outcome {
	case stateFailed:
		return eventFailed
	case stateCancelled:
		return eventCancelled
	case Superseded:
		return eventSuperseded
	default:
		return ""
	}
}
