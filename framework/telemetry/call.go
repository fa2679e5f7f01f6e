package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// The attributes of a call's span, by OpenTelemetry's conventions for remote calls.
const (
	keyRPCSystem  = attribute.Key("rpc.system")
	keyRPCService = attribute.Key("rpc.service")
	keyRPCMethod  = attribute.Key("rpc.method")
	keyInstance   = attribute.Key("woodwork.instance")
	keyCall       = attribute.Key("woodwork.call")
)

// Call says which request to an instance a span is about.
type Call struct {
	Component, Instance, Operation string
	// ID correlates the requests of one call.
	ID                  string
	Session, Turn, Root string
}

func (c *Call) name() string { return c.Component + "/" + c.Operation }

func (c *Call) attributes() []attribute.KeyValue {
	attrs := []attribute.KeyValue{
		keyRPCSystem.String("woodwork"), keyRPCService.String(c.Component), keyRPCMethod.String(c.Operation),
		keyInstance.String(c.Instance), keyCall.String(c.ID),
	}

	if c.Turn != "" {
		attrs = append(attrs, keyConversation.String(c.Session), keyTurn.String(c.Turn), keyRoot.String(c.Root))
	}

	return attrs
}

// Ask begins the span "<component>/<operation>" of a request to an instance, below the span in ctx; nil when there is
// none. Its context is for the request's header; see [Inject].
func (c *Call) Ask(ctx context.Context) (context.Context, *Span) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, nil
	}

	return child(ctx, c.name(), trace.SpanKindClient, c.attributes())
}

// Serve begins the span "<component>/<operation>" of a request that is served. It goes on from the request's header.
func (t *Tracer) Serve(ctx context.Context, header map[string]string, c Call) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}

	return t.begin(ctx, header, c.name(), trace.SpanKindServer, c.attributes())
}

// EndCall ends the span of a request, of which the kind of err is noted.
func (s *Span) EndCall(err error) {
	s.Fail(err)
	s.End()
}
