package call

import (
	"context"
	"maps"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/telemetry"
)

// traced begins the span of a request to an instance and returns the message that carries its trace context. Without a
// span it is the message as it is.
func (f *flight) traced(ctx context.Context, to bus.Endpoint) (context.Context, *telemetry.Span, *bus.Message) {
	r := &f.request

	about := telemetry.Call{
		Component: to.Component, Instance: to.Instance, Operation: r.Operation, ID: r.ID,
		Session: r.Session, Turn: r.Turn, Root: r.Root,
	}

	ctx, span := about.Ask(ctx)
	if span == nil {
		return ctx, nil, f.message
	}

	m := &bus.Message{Header: maps.Clone(f.message.Header), Body: f.message.Body}
	telemetry.Inject(ctx, m.Header)

	return ctx, span, m
}

// traced begins the span of a request that is served.
func (s *Server) traced(ctx context.Context, in *Incoming) (context.Context, *telemetry.Span) {
	return s.cfg.Tracer.Serve(ctx, in.Header, telemetry.Call{
		Component: s.at.Component, Instance: s.at.Instance, Operation: in.Operation, ID: in.ID,
		Session: in.Session, Turn: in.Turn, Root: in.Root,
	})
}
