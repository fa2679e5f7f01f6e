package membus

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Append implements [bus.Log]. It copies f. It never returns [bus.ErrBusy] or [bus.ErrUnknown].
func (b *Bus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	if err := checkFrame(f, b.broker.cfg.MaxBody); err != nil {
		return nil, fmt.Errorf("append frame: %w", err)
	}

	if err := b.ready(ctx); err != nil {
		return nil, fmt.Errorf("append frame: %w", err)
	}

	e := newEntry(f)
	if err := b.broker.append(e, after); err != nil {
		return nil, fmt.Errorf("append frame to %s: %w", f.ID, err)
	}

	return e, nil
}

// newEntry returns a copy of a frame that shares nothing with it.
func newEntry(f *bus.Frame) *bus.Entry {
	// Most frames hold one chunk, whose length has its place beside the entry.
	e := &struct {
		bus.Entry

		length [1]int
	}{Entry: bus.Entry{Frame: *f}}

	if len(f.Lengths) == 1 {
		e.length[0] = f.Lengths[0]
		e.Lengths = e.length[:]
	} else {
		e.Lengths = slices.Clone(f.Lengths)
	}

	e.Body = slices.Clone(f.Body)
	e.Meta = maps.Clone(f.Meta)
	e.Trace = maps.Clone(f.Trace)

	return &e.Entry
}

// Last implements [bus.Log].
func (b *Bus) Last(ctx context.Context, id bus.StreamID) (*bus.Entry, error) {
	if err := checkStream(id); err != nil {
		return nil, fmt.Errorf("last entry: %w", err)
	}

	if err := b.ready(ctx); err != nil {
		return nil, fmt.Errorf("last entry: %w", err)
	}

	j := b.broker.journal(id)
	if j == nil {
		return nil, nil
	}

	return j.last(time.Now()), nil
}

// Read implements [bus.Log]. It yields a view of the log at the time it begins. It fails with [bus.ErrNotFound] when
// last is no longer kept.
func (b *Bus) Read(ctx context.Context, last *bus.Entry, from bus.Cursor) iter.Seq2[*bus.Entry, error] {
	return func(yield func(*bus.Entry, error) bool) {
		entries, err := b.view(last, from)
		if err != nil {
			yield(nil, fmt.Errorf("read log: %w", err))

			return
		}

		for _, e := range entries {
			if err := b.ready(ctx); err != nil {
				yield(nil, fmt.Errorf("read log: %w", err))

				return
			}

			if !yield(e, nil) {
				return
			}
		}
	}
}

func (b *Bus) view(last *bus.Entry, from bus.Cursor) ([]*bus.Entry, error) {
	if last == nil {
		return nil, nil
	}

	if err := checkStream(last.ID); err != nil {
		return nil, err
	}

	if b.closed.Load() {
		return nil, bus.ErrClosed
	}

	j := b.broker.journal(last.ID)
	if j == nil {
		return nil, fmt.Errorf("entry %d of %s: %w", last.Position.Minor, last.ID, bus.ErrNotFound)
	}

	return j.view(last, from, time.Now())
}

// Follow implements [bus.Log]. Entries are queued for deliver in the order they were stored; up to [Config].Queue of
// them, after which deliver is called with nil once and goes on with what is stored later. stop waits for a delivery
// in progress, so deliver must not call it.
func (b *Bus) Follow(ctx context.Context, id bus.StreamID, deliver func(*bus.Entry)) (func(), error) {
	if err := checkStream(id); err != nil {
		return nil, fmt.Errorf("follow stream: %w", err)
	}

	if err := b.ready(ctx); err != nil {
		return nil, fmt.Errorf("follow stream: %w", err)
	}

	f := &follower{broker: b.broker, id: id, deliver: deliver, limit: b.broker.cfg.Queue}

	if !b.keep(f) {
		return nil, fmt.Errorf("follow stream: %w", bus.ErrClosed)
	}

	b.broker.follow(f)

	return func() {
		b.forget(f)
		f.stop()
	}, nil
}

func (b *Bus) keep(f *follower) bool {
	b.mu.Lock()
	defer b.mu.Unlock()

	if b.followers == nil {
		return false
	}

	b.followers[f] = struct{}{}

	return true
}

func (b *Bus) forget(f *follower) {
	b.mu.Lock()
	defer b.mu.Unlock()

	delete(b.followers, f)
}
