package mailbox

import (
	"context"
	"errors"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Revive calls a worker where the register says that one was called although the broker will deliver that entry no
// more. Every entry up to acked has been acknowledged, so acked must have been read before.
//
// The protocol removes an entry's claim to be the last one before it acknowledges it, so by itself it never leaves such
// a register. A broker does that forgets, when it is killed, that entries were removed: the oldest of them may be the
// last one then, and posters would rely on it for ever. What calls a worker in vain is harmless.
//
// A cleaning that was under way when the server was killed may go on after a poster relied on what came back, and remove
// it. Looking for register entries can't find that; see [Mailbox.Recall].
//
// Where the mailbox rests, Revive removes what a worker that died has left in the register.
func (m Mailbox) Revive(ctx context.Context, acked uint64) error {
	last, err := m.last(ctx)

	switch {
	case err != nil:
		return err
	case last.Seq == 0 || last.Seq > acked:
		return nil
	case !last.Scheduled:
		return m.clean(ctx, last)
	}

	_, err = m.Store.Append(ctx, Register, Entry{Scheduled: true, On: last.Seq}, Condition{Register, last.Seq})
	if errors.Is(err, bus.ErrConflict) {
		return nil // by now another worker was called, or the refusal was wrong and the next look revives it
	}

	return err
}

// Recall calls a worker to a mailbox in whose inbox a letter was seen, where the register says that none was called. The
// poster of that letter may be about to do it: then one of the two is refused, and both are content. What calls a worker in
// vain is harmless.
func (m Mailbox) Recall(ctx context.Context) error {
	last, err := m.last(ctx)
	if err != nil || last.Scheduled {
		return err
	}

	_, err = m.Store.Append(ctx, Register, Entry{Scheduled: true, On: last.Seq}, Condition{Register, last.Seq})
	if errors.Is(err, bus.ErrConflict) {
		return nil // by now a worker was called, or the next look does it
	}

	return err
}
