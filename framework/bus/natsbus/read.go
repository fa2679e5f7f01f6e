package natsbus

import (
	"context"
	"fmt"
	"iter"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Read yields the frames that a reader at from has not seen; see [bus.Log]. It follows the frames' links, so its cost
// depends on the distance to last and on nothing else in the log. It holds a bounded number of entries at a time. An
// entry that has expired is an error that wraps [bus.ErrNotFound].
func (b *Bus) Read(ctx context.Context, last *bus.Entry, from bus.Cursor) iter.Seq2[*bus.Entry, error] {
	return func(yield func(*bus.Entry, error) bool) {
		if last == nil {
			return
		}
		if err := b.readable(last); err != nil {
			yield(nil, fmt.Errorf("read %s: %w", last.ID, err))

			return
		}
		fetch := func(seqs []uint64) ([]*bus.Entry, error) { return b.fetch(ctx, last.ID, seqs) }
		r, err := newLinkReader(last, from, fetch)
		for err == nil && len(r.points) > 0 {
			var e *bus.Entry
			if e, err = r.next(); err == nil && !yield(e, nil) {
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
