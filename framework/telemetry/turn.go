package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Turn says which turn a span is about.
type Turn struct {
	Session, Turn, Root string
	Component           string
	// Deliveries counts how often the turn was given to a worker.
	Deliveries int
}

// Process begins the span "process <component>" of one execution of a turn. It goes on from the trace context of the
// turn's letter. The context returned is for the handler: what it traces is below the span.
func (t *Tracer) Process(ctx context.Context, letter map[string]string, turn Turn) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}

	return t.begin(ctx, letter, "process "+turn.Component, trace.SpanKindConsumer, []attribute.KeyValue{
		keySystem.String(t.system), keyOperation.String("process"), keyOperationIs.String("process"),
		keyDestination.String(turn.Component), keyGroup.String(turn.Component),
		keyConversation.String(turn.Session), keyMessage.String(turn.Turn),
		keyComponent.String(turn.Component), keyTurn.String(turn.Turn), keyRoot.String(turn.Root),
		keyDeliveries.Int(turn.Deliveries),
	})
}

// Attempt notes which attempt at the turn's output this is, and links to the one before if there was one and the log
// holds its trace context.
func (s *Span) Attempt(ctx context.Context, n int, before map[string]string) {
	if s != nil {
		s.span.SetAttributes(keyAttempt.Int(n))
		s.Follows(ctx, before)
	}
}

// EndTurn ends a turn's span with what became of the turn; err is why, of which the kind is noted, and the status says
// that it failed if faulty.
func (s *Span) EndTurn(outcome string, err error, faulty bool) {
	if s == nil {
		return
	}

	s.span.SetAttributes(keyOutcome.String(outcome))

	if faulty {
		s.Fail(err)
	}

	s.span.End()
}
