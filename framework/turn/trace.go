package turn

import (
	"context"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/telemetry"
)

// traced is attempt within a span.
func (r *run) traced(ctx context.Context, l *bus.Letter, record Record, afresh bool) outcome {
	ctx, span := r.cfg.Tracer.Process(ctx, l.Trace, telemetry.Turn{
		Session: record.Session, Turn: record.ID, Root: record.Root, Component: record.Component,
		Deliveries: l.Deliveries,
	})
	o := r.attempt(ctx, l, record, afresh, span)
	span.EndTurn(o.fate.name(), o.err, o.fate.faulty())
	o.span = span

	return o
}

// name returns the fate as a span's outcome.
func (f fate) name() string {
	return [...]string{
		complete: "completed", follow: "followed", cancelled: "cancelled", restart: "restarted", retry: "retried", early: "waiting",
		handOver: "handed over", lost: "superseded", fail: "failed", already: "done before",
	}[f]
}

// faulty reports whether the execution itself went wrong.
func (f fate) faulty() bool { return f == retry || f == fail }
