package stream

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// assigned is the part of a reader that tells the stream's writer how far it is: when it is asked, and from then on
// whenever it has read as much more as the writer wants to know of. A writer that is never too far ahead never asks.
type assigned struct {
	signals bus.Signals
	id      bus.StreamID
	name    string
	place   atomic.Uint64        // number of the cursor before which everything was read
	pace    atomic.Pointer[pace] // nil before the writer asked
	stop    func()               // ends the hearing

	// These belong to the reader's caller.
	said  bus.Cursor // the last place that was told unasked
	bytes uint64     // read since then
}

// OpenAssigned opens a reader as OpenReader does, for a component that the stream's writer waits for (see
// [WriterConfig]): it tells the writer how far the component is. A chunk counts as read when the next event is asked
// for. One reader at a time should be open under a component's name.
//
// A component that will never read the rest of a stream calls [Reader.Release], or the writer waits for its next
// attempt.
func (s *Store) OpenAssigned(ctx context.Context, id bus.StreamID, from bus.Cursor, component string) (*Reader, error) {
	if err := checkReader(s, component); err != nil {
		return nil, fmt.Errorf("open reader: %w", err)
	}
	a := &assigned{signals: s.signals, id: id, name: component}
	a.place.Store(from.Number())
	detached := context.WithoutCancel(ctx)
	stop, err := s.signals.Listen(ctx, id, func(data []byte) { a.hear(detached, data) })
	if err != nil {
		return nil, fmt.Errorf("open reader: hear the writer: %w", err)
	}
	a.stop = stop
	r, err := s.openReader(ctx, id, from, hearing{assigned: a})
	if err != nil {
		stop()

		return nil, fmt.Errorf("open reader: %w", err)
	}

	return r, nil
}

// hear answers a writer that asks.
func (a *assigned) hear(ctx context.Context, data []byte) {
	if h, ok := decodeHint(data); ok && h.word == hintAsk {
		a.pace.Store(&h.pace)
		a.say(ctx, bus.CursorFromNumber(a.place.Load()))
	}
}

// say tells the writer a place. It asks again if that gets lost.
func (a *assigned) say(ctx context.Context, place bus.Cursor) {
	_ = a.signals.Signal(ctx, a.id, hint{word: hintAt, reader: a.name, place: place}.encode())
}

// progress notes that the caller is done with everything before a place.
func (a *assigned) progress(ctx context.Context, place bus.Cursor) {
	a.place.Store(place.Number())
	p := a.pace.Load()
	if p == nil || place.Attempt == a.said.Attempt && place.Index-a.said.Index < p.chunks && a.bytes < p.bytes {
		return
	}
	a.said, a.bytes = place, 0
	a.say(ctx, place)
}

// Release closes a reader whose component needs no more of the stream, so that its writer goes on without it. Next
// must not run meanwhile. What it tells the writer is repeated for a while; it does not wait. A reader that is not
// assigned is only closed.
func (r *Reader) Release(ctx context.Context) {
	r.Close()
	if r.assigned != nil && r.merge.state != bus.Completed {
		r.store.Release(ctx, r.id, r.assigned.name)
	}
}
