package terminal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/stream"
)

// Events are the events of a session, in order; a [stream.Follower] yields them.
type Events interface {
	Next(ctx context.Context) (stream.SessionEvent, error)
}

// Printer prints the events of a session. It is not safe for concurrent use.
type Printer struct {
	events Events
	out    *Renderer
}

// NewPrinter returns a Printer that feeds events to out.
func NewPrinter(events Events, out *Renderer) *Printer { return &Printer{events: events, out: out} }

// Answer prints the answer to a posted turn and returns how it ended. Events of other turns are passed over, so call
// it for turns in the order they were posted. The answer is the first stream for the user that ends in that turn.
func (p *Printer) Answer(ctx context.Context, turn string) (stream.End, error) {
	for {
		e, err := p.events.Next(ctx)
		if err != nil {
			return stream.End{}, fmt.Errorf("follow answer: %w", err)
		}

		if e.Info.Root != turn && e.Info.Turn != turn {
			continue
		}

		if err := p.out.Handle(e); err != nil {
			return stream.End{}, err
		}

		if e.Event.Kind == stream.KindEnd {
			return e.Event.End, nil
		}
	}
}

const saveTimeout = 2 * time.Second

// All prints every answer until ctx ends, and returns nil then. After each answer, and before it returns, it saves the
// cursor behind what was printed to mark. A crash between the two makes the restarted reader repeat one answer.
//
// When what follows has expired it says so and goes on with the next answer. It returns [stream.ErrExpired] when the
// events don't go on from there: begin again with those of the session's beginning.
func (p *Printer) All(ctx context.Context, mark *Bookmark) error {
	var (
		printed stream.SessionCursor
		gone    bool
	)

	for {
		e, err := p.events.Next(ctx)
		if errors.Is(err, stream.ErrExpired) && !gone {
			gone = true

			if err := p.out.Expired(); err != nil {
				return err
			}

			continue
		}

		if err != nil {
			return p.leave(ctx, err, mark, printed)
		}

		gone = false

		if err := p.out.Handle(e); err != nil {
			return err
		}

		if p.out.Settled() {
			printed = e.Cursor
		}

		if e.Event.Kind == stream.KindEnd {
			if err := mark.Save(ctx, printed); err != nil {
				return p.leave(ctx, err, mark, printed)
			}
		}
	}
}

// leave saves how far the printer came. An end of the context is the usual reason to leave.
func (p *Printer) leave(ctx context.Context, reason error, mark *Bookmark, printed stream.SessionCursor) error {
	if ctx.Err() == nil {
		return fmt.Errorf("print answers: %w", reason)
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()

	if err := mark.Save(ctx, printed); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}

	return nil
}
