package turn

import (
	"context"
	"errors"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// ErrInputGone says that the input of a dead turn has expired, and was too large, or not complete, to be kept with its letter.
var ErrInputGone = errors.New("the turn's input is no longer stored")

// Replay posts the turn of a dead letter again, for the same component and session and with the same input, and drops
// the letter. It is the letter as the bus keeps it: d only names it, as in [bus.DeadLetters]. The turn is a new one of its
// own: its answer appears at the end of the session's timeline. Its id follows from that of the dead turn, so repeating a
// replay after an error posts one turn.
//
// The input is read from its stream or, when that has expired, written again as one chunk from what was kept. It fails
// with bus.ErrNotFound when the letter is gone, as after a replay, with [ErrInputGone] when there is no input, and with
// bus.ErrCorrupt or bus.ErrUnsupported for a letter that this program can't read.
func Replay(ctx context.Context, box Box, store *stream.Store, d *bus.DeadLetter) (Record, error) {
	d, err := box.Buried(ctx, &d.Letter)
	if err != nil {
		return Record{}, fmt.Errorf("replay: %w", err)
	}

	old, err := decode(&d.Letter)
	if err != nil {
		return Record{}, fmt.Errorf("replay: %w", err)
	}

	r := Record{
		ID: subjects.Derive(old.ID, "replay", old.Component), Session: old.Session, Component: old.Component,
		From: old.From, Stream: old.Input(),
	}
	r.Root = r.ID

	if r.Mark, err = session.Mark(ctx, store, r.Session); err != nil {
		return r, fmt.Errorf("replay: %w", err)
	}

	_, err = store.Kept(ctx, inputID(r), 0)
	if errors.Is(err, stream.ErrExpired) {
		r.Stream = ""
		err = rewrite(ctx, store, r, d)
	}

	if err != nil {
		return r, fmt.Errorf("replay turn %s: %w", old.ID, err)
	}

	if err := Post(ctx, box, r, d.Trace); err != nil {
		return r, fmt.Errorf("replay: %w", err)
	}

	if err := box.Drop(ctx, d); err != nil {
		return r, fmt.Errorf("replayed turn %s as %s: %w", old.ID, r.ID, err)
	}

	return r, nil
}

// rewrite writes the input that was kept as the input stream of the new turn.
func rewrite(ctx context.Context, store *stream.Store, r Record, d *bus.DeadLetter) error {
	if d.Truncated {
		return ErrInputGone
	}

	w, err := store.OpenWriter(ctx, stream.WriterConfig{Session: r.Session, Trace: d.Trace, Info: stream.Info{
		Stream: r.Input(), Component: r.From, Target: r.Component, Turn: r.ID, Root: r.Root, Type: d.InputType,
	}})

	ended, again := errors.AsType[*stream.EndedError](err)
	if again && ended.End.State == bus.Completed {
		return nil
	}

	if err != nil {
		return fmt.Errorf("write input again: %w", err)
	}

	if len(d.Input) > 0 {
		if err := w.Send(ctx, d.Input); err != nil {
			w.Abandon()

			return fmt.Errorf("write input again: %w", err)
		}
	}

	if err := w.Close(ctx); err != nil {
		return fmt.Errorf("write input again: %w", err)
	}

	return nil
}
