package mailbox

import (
	"context"
	"errors"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Log is one of the two logs of a mailbox.
type Log int

// The logs.
const (
	// Inbox holds the letters that are not done.
	Inbox Log = iota + 1
	// Register says whether the mailbox is scheduled.
	Register
)

// Entry is an entry of either log. The zero Entry stands for none, which in the register means idle.
type Entry struct {
	// Seq is the entry's place in the total order of both logs; 0 in an entry to be appended.
	Seq uint64
	// Scheduled tells a scheduled entry of the register from an idle one.
	Scheduled bool
	// On is the register's last sequence that a scheduled entry was appended on; 0 says that nothing lies beneath it.
	On uint64
	// Mark, in a scheduled entry, is the entry that it goes on: a mark calls nobody, for the entry it names still does.
	Mark uint64
	// Before, in a mark, is how often the entry it names had been delivered without that counting for the letter that comes next:
	// for letters that are done, or for nothing.
	Before int
	// Letter is what an entry of the inbox holds; nil in one that isn't ours, which a claim removes.
	Letter *bus.Letter
}

// Condition makes an append depend on the last sequence of a log; 0 means that the log is empty.
type Condition struct {
	Log  Log
	Last uint64
}

// Store is what the protocol needs of a broker, for one mailbox. Each method is one operation without retries of
// appends. Reads may be answered from the past, but always from one state that the logs really went through.
type Store interface {
	// Last returns the last entry of the register.
	Last(ctx context.Context) (Entry, error)
	// First returns the first entry of a log at or after a sequence.
	First(ctx context.Context, log Log, from uint64) (Entry, error)
	// Append adds an entry to a log in one step with checking the condition. It fails with [bus.ErrConflict] when the
	// condition didn't hold, [bus.ErrBusy] when that can't be said yet, [bus.ErrUnknown] when it may have succeeded.
	Append(ctx context.Context, log Log, e Entry, on Condition) (uint64, error)
	// Delete removes an entry of either log. It returns nil when the entry is gone, also when it was gone before.
	Delete(ctx context.Context, seq uint64) error
}

// Mailbox is the protocol on one mailbox. It holds no state of its own and may be used concurrently.
type Mailbox struct {
	// Store reaches the mailbox.
	Store Store
	// Wait pauses before another try, longer with each (counted from 1), and returns the context's error when it ends.
	Wait func(ctx context.Context, try int) error
}

// again reports whether an operation that failed with err may succeed when the caller looks again.
func again(err error) bool {
	return errors.Is(err, bus.ErrConflict) || errors.Is(err, bus.ErrBusy) || errors.Is(err, bus.ErrUnknown)
}

// retry waits for the next try when err allows one, and returns what ends the operation otherwise.
func (m Mailbox) retry(ctx context.Context, try int, err error) error {
	if !again(err) {
		return err
	}

	return m.Wait(ctx, try)
}

// delete removes an entry and tries again until that is certain.
func (m Mailbox) delete(ctx context.Context, seq uint64) error {
	for try := 1; ; try++ {
		err := m.Store.Delete(ctx, seq)
		if err == nil {
			return nil
		}

		if err := m.retry(ctx, try, err); err != nil {
			return err
		}
	}
}
