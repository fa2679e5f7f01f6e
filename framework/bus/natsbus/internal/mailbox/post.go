package mailbox

import (
	"context"
	"errors"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Post appends a letter and makes sure that a worker will see it. It tries again until it succeeds, ctx ends, or the
// broker refuses for good.
//
// After an error the letter may be stored or not, and may be seen by a worker or not until the next post to the
// mailbox. A try whose outcome stayed unknown may leave a second copy: a claim drops the copy of a letter that it has
// done itself, other copies are handed out again.
func (m Mailbox) Post(ctx context.Context, l *bus.Letter) error {
	letter, on, err := m.put(ctx, l)
	if err != nil || on.Scheduled {
		return err
	}

	return m.schedule(ctx, letter, on.Seq)
}

// put appends the letter and returns its sequence and the register's entry that was the last one at that moment.
//
// The first try takes the register for empty, as it is in a mailbox at rest, which saves a read.
func (m Mailbox) put(ctx context.Context, l *bus.Letter) (uint64, Entry, error) {
	var on Entry

	for try := 1; ; try++ {
		seq, err := m.Store.Append(ctx, Inbox, Entry{Letter: l}, Condition{Register, on.Seq})
		if err == nil {
			return seq, on, nil
		}

		if try > 1 || !errors.Is(err, bus.ErrConflict) {
			if err := m.retry(ctx, try, err); err != nil {
				return 0, Entry{}, err
			}
		}

		if on, err = m.last(ctx); err != nil {
			return 0, Entry{}, err
		}
	}
}

// schedule appends "scheduled" on the idle entry on, which was the register's last one when the letter was appended.
//
// So any entry of the register behind the letter is proof, however old the read that found it: a scheduled one calls
// a worker that won't rest before the letter is done, and an idle one was appended when it had been done.
func (m Mailbox) schedule(ctx context.Context, letter, on uint64) error {
	for try := 1; ; try++ {
		_, err := m.Store.Append(ctx, Register, Entry{Scheduled: true, On: on}, Condition{Register, on})
		if err == nil {
			return nil
		}

		if err := m.retry(ctx, try, err); err != nil {
			return err
		}

		last, err := m.last(ctx)

		switch {
		case err != nil:
			return err
		case last.Seq > letter:
			return nil
		case !last.Scheduled: // the idle entry may have been removed since
			on = last.Seq
		}
	}
}

// last reads the register's last entry, and tries again while the broker can't answer.
func (m Mailbox) last(ctx context.Context) (Entry, error) {
	for try := 1; ; try++ {
		e, err := m.Store.Last(ctx)
		if err == nil {
			return e, nil
		}

		if err := m.retry(ctx, try, err); err != nil {
			return Entry{}, err
		}
	}
}
