package bustest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// store appends a frame and repeats it as the port's outcomes ask for. It returns the stored entry, or
// [bus.ErrConflict] when another write came first.
func store(ctx context.Context, b bus.Bus, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	for {
		e, err := b.Append(ctx, f, after)

		switch {
		case err == nil:
			return e, nil
		case errors.Is(err, bus.ErrConflict):
			last, lastErr := lastOf(ctx, b, f.ID)
			if lastErr == nil && last != nil && last.Same(f) {
				return last, nil
			}

			return nil, errors.Join(err, lastErr)
		case !errors.Is(err, bus.ErrBusy) && !errors.Is(err, bus.ErrUnknown):
			return nil, err
		case !pause(ctx):
			return nil, fmt.Errorf("gave up: %w", err)
		}
	}
}

// lastOf asks for the last entry until the bus answers.
func lastOf(ctx context.Context, b bus.Bus, id bus.StreamID) (*bus.Entry, error) {
	for {
		e, err := b.Last(ctx, id)
		if !errors.Is(err, bus.ErrUnknown) || !pause(ctx) {
			return e, err
		}
	}
}

// writer appends to one stream in one attempt.
type writer struct {
	bus     bus.Bus
	id      bus.StreamID
	name    string
	attempt uint32
	last    *bus.Entry
	next    uint64
	begun   bool
}

func newWriter(b bus.Bus, id bus.StreamID, attempt uint32) *writer {
	return &writer{bus: b, id: id, name: newID("w"), attempt: attempt}
}

// frame returns the next frame with these chunks.
func (w *writer) frame(chunks ...string) *bus.Frame {
	f := &bus.Frame{ID: w.id, Attempt: w.attempt, Writer: w.name, First: w.next, Type: bus.Text}
	if !w.begun {
		f.Begin = true
		if w.last != nil {
			f.After = w.last.End()
		}
	}

	for _, c := range chunks {
		f.Lengths = append(f.Lengths, len(c))
		f.Body = append(f.Body, c...)
	}

	return f
}

// put stores a frame as the next one.
func (w *writer) put(ctx context.Context, f *bus.Frame) error {
	e, err := store(ctx, w.bus, f, w.last)
	if err != nil {
		return err
	}

	w.stored(e)

	return nil
}

// stored makes an entry the last one.
func (w *writer) stored(e *bus.Entry) { w.last, w.next, w.begun = e, e.End().Index, true }

// send stores a frame with these chunks, or fails the test.
func (w *writer) send(t *testing.T, chunks ...string) *bus.Entry {
	t.Helper()

	if err := w.put(t.Context(), w.frame(chunks...)); err != nil {
		t.Fatalf("frame at %d: %v", w.next, err)
	}

	return w.last
}

// end stores the last frame of the stream, or fails the test.
func (w *writer) end(t *testing.T) {
	t.Helper()

	f := w.frame()
	f.State = bus.Completed

	if err := w.put(t.Context(), f); err != nil {
		t.Fatalf("final frame: %v", err)
	}
}

// takeOver begins a later attempt at index first behind whatever is stored, however often others are faster.
func (w *writer) takeOver(ctx context.Context, first uint64) error {
	for {
		last, err := lastOf(ctx, w.bus, w.id)
		if err != nil {
			return err
		}

		w.last, w.next = last, first
		if err := w.put(ctx, w.frame()); !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
}
