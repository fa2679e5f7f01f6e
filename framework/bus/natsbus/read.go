package natsbus

import (
	"context"
	"fmt"
	"iter"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Read yields the frames that a reader at from has not seen; see [bus.Log]. It follows the frames' links, so its cost
// depends on the distance to last and on nothing else in the log; what is gone costs a few more requests, which a server
// answers by a search. It holds a bounded number of entries at a time. It may yield the last one although it has expired.
func (b *Bus) Read(ctx context.Context, last *bus.Entry, from bus.Cursor) iter.Seq2[*bus.Entry, error] {
	return func(yield func(*bus.Entry, error) bool) {
		if last == nil {
			return
		}
		if err := b.readable(last); err != nil {
			yield(nil, fmt.Errorf("read %s: %w", last.ID, err))

			return
		}
		log, err := b.logSource(last.ID)
		if err != nil {
			yield(nil, fmt.Errorf("read log: %w", err))

			return
		}
		r, err := newLinkReader(ctx, last, from, log)
		for err == nil && len(r.points) > 0 {
			var e *bus.Entry
			if e, err = r.next(ctx); err == nil && !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, fmt.Errorf("read %s: %w", last.ID, err))
		}
	}
}

// readable refuses what would otherwise depend on how much of the log is at hand.
func (b *Bus) readable(last *bus.Entry) error {
	if b.isClosing() {
		return b.closedError()
	}
	if last.Links.Text == "" {
		return fmt.Errorf("the last entry is not of this bus: %w", bus.ErrInvalid)
	}

	return b.Err()
}
