package framework

import (
	"context"
	"fmt"
	"iter"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/turn"
)

// DeadLetters yields the turns of a component ("" for all components) that were set aside because they can't be done,
// the oldest first. They are kept for [bus.DeadLetterAge].
func (c *Client) DeadLetters(ctx context.Context, component string) iter.Seq2[*bus.DeadLetter, error] {
	return func(yield func(*bus.DeadLetter, error) bool) {
		for d, err := range c.bus.Dead(ctx, component) {
			if err != nil {
				yield(nil, err)

				return
			}

			if own, mine := c.ownLetter(d); mine && !yield(own, nil) {
				return
			}
		}
	}
}

// ownLetter returns a dead letter with the client's own id of its session, and false when it is another tenant's.
func (c *Client) ownLetter(d *bus.DeadLetter) (*bus.DeadLetter, bool) {
	own := *d

	var mine bool
	own.Session, mine = c.sessions.Own(d.Session)

	return &own, mine
}

// onBus returns a dead letter of ownLetter as the bus has it.
func (c *Client) onBus(d *bus.DeadLetter) (*bus.DeadLetter, error) {
	there := *d

	var err error
	there.Session, err = c.sessions.Name(d.Session)

	return &there, err
}

// Replay posts the turn of a dead letter again, for the same component and session and with the same input, and drops
// the letter. It is the letter as the bus keeps it, whatever else d says: d names it by its ID, mailbox and Position. The
// turn gets an id of its own, and its answer appears at the end of the session's timeline. After an error the turn may or
// may not have been posted; repeat it to be sure.
//
// It fails with bus.ErrNotFound when the letter is gone, because it was replayed or dropped, with [turn.ErrInputGone] when
// the input has expired and not all of it was kept, and with bus.ErrCorrupt or bus.ErrUnsupported for a letter that this
// program can't read.
func (c *Client) Replay(ctx context.Context, d *bus.DeadLetter) (Ref, error) {
	there, err := c.onBus(d)
	if err != nil {
		return Ref{}, fmt.Errorf("replay: %w", err)
	}

	r, err := turn.Replay(ctx, c.bus, c.store, there)
	if err != nil {
		return Ref{}, err //nolint:wrapcheck // it says what failed
	}

	return Ref{Session: d.Session, Turn: r.ID}, nil
}

// DropDead forgets the dead letter that d names by its ID, mailbox and Position. One that is gone already is no error.
func (c *Client) DropDead(ctx context.Context, d *bus.DeadLetter) error {
	there, err := c.onBus(d)
	if err != nil {
		return fmt.Errorf("drop dead letter: %w", err)
	}

	return c.bus.Drop(ctx, there)
}
