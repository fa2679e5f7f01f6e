package mailbox

import (
	"context"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// lookAgain bounds how often a delivered entry is looked for in a register that doesn't show it.
const lookAgain = 4

// current returns the register's last entry if it is e or a mark on e, and none when e is superseded, which is for
// ever. When neither is there, the read came from the past or e was removed; that fails with [bus.ErrBusy], and the
// broker is left to deliver e again if it still exists.
func (m Mailbox) current(ctx context.Context, e Entry) (Entry, error) {
	for try := 1; try <= lookAgain; try++ {
		last, err := m.last(ctx)

		switch {
		case err != nil:
			return Entry{}, err
		case last.Seq == e.Seq || last.Mark == e.Seq:
			return last, nil
		case last.Seq > e.Seq && last.Scheduled:
			return Entry{}, nil
		case last.Seq > e.Seq:
			return Entry{}, m.clean(ctx, last) // its worker died before it could
		}

		if err := m.Wait(ctx, try); err != nil {
			return Entry{}, err
		}
	}

	return Entry{}, bus.ErrBusy
}

// clean removes the register's entries before top, oldest first, and top itself when it is idle. All of them are
// superseded, except an idle top that nobody has scheduled since: removing that one leaves the register as idle as it
// was. Clean may run at several workers at once and may end early; the next claim's goes on.
func (m Mailbox) clean(ctx context.Context, top Entry) error {
	for {
		e, err := m.first(ctx, Register, 1)

		switch {
		case err != nil:
			return err
		case e.Seq == 0 || e.Seq > top.Seq: // removed by others, or read from before top
			return nil
		case e.Seq == top.Seq && top.Scheduled:
			return nil
		}

		if err := m.delete(ctx, e.Seq); err != nil {
			return err
		}

		if e.Seq == top.Seq {
			return nil
		}
	}
}

// first reads the first entry of a log at or after a sequence, and tries again while the broker can't answer.
func (m Mailbox) first(ctx context.Context, log Log, from uint64) (Entry, error) {
	for try := 1; ; try++ {
		e, err := m.Store.First(ctx, log, from)
		if err == nil {
			return e, nil
		}

		if err := m.retry(ctx, try, err); err != nil {
			return Entry{}, err
		}
	}
}
