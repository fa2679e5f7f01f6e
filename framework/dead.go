package framework

import (
	"context"
	"iter"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/turn"
)

// DeadLetters yields the turns of a component ("" for all components) that were set aside because they can't be done,
// the oldest first. They are kept for [bus.DeadLetterAge].
func (c *Client) DeadLetters(ctx context.Context, component string) iter.Seq2[*bus.DeadLetter, error] {
	return c.bus.Dead(ctx, component)
}

// Replay posts the turn of a dead letter again, for the same component and session and with the same input, and drops
// the letter. The turn gets an id of its own, and its answer appears at the end of the session's timeline. After an
// error the turn may or may not have been posted; repeat it to be sure.
//
// It fails with [turn.ErrInputGone] when the input has expired and not all of it was kept, and with bus.ErrCorrupt or
// bus.ErrUnsupported for a letter that this program can't read.
func (c *Client) Replay(ctx context.Context, d *bus.DeadLetter) (Ref, error) {
	r, err := turn.Replay(ctx, c.bus, c.store, d)
	if err != nil {
		return Ref{}, err //nolint:wrapcheck // it says what failed
	}

	return Ref{Session: r.Session, Turn: r.ID}, nil
}

// DropDead forgets a dead letter. One that is gone already is no error.
func (c *Client) DropDead(ctx context.Context, d *bus.DeadLetter) error {
	return c.bus.Drop(ctx, d)
}
