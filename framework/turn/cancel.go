package turn

import (
	"context"
	"errors"
	"sync"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// CancelledError is the cause of a handler's context when its turn was cancelled.
type CancelledError struct {
	// Reason is what whoever cancelled it said.
	Reason string
}

// Error implements error.
func (e *CancelledError) Error() string {
	if e.Reason == "" {
		return "the turn was cancelled"
	}

	return "the turn was cancelled: " + e.Reason
}

// cancels knows every cancel of a session while one of its mailboxes is claimed, and ends the context of the attempt
// that one of them is about.
type cancels struct {
	stop func()
	done chan struct{} // closed when the control log is no longer followed

	mu      sync.Mutex
	known   []session.Cancel
	record  Record
	current context.CancelCauseFunc // of the attempt that runs; nil between attempts
}

// watch follows the session's control log from the claim's first letter on.
func (r *run) watch(ctx context.Context, id string) error {
	if r.cancels != nil {
		return nil
	}

	w, err := session.NewWatch(ctx, r.store, id)
	if err != nil {
		return err
	}

	c := &cancels{known: w.Known(), stop: w.Close, done: make(chan struct{})}
	r.cancels = c

	go func() {
		defer close(c.done)

		for {
			event, err := w.Next(ctx)
			if err != nil {
				return // closed, or the bus can't go on, which the worker sees by itself
			}

			c.add(event)
		}
	}()

	return nil
}

// unwatch stops to follow the control log and waits for it.
func (r *run) unwatch() {
	if r.cancels != nil {
		r.cancels.stop()
		<-r.cancels.done
	}
}

func (c *cancels) add(event session.Cancel) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.known = append(c.known, event)
	c.check(event)
}

// check ends the running attempt if the event is about its turn.
func (c *cancels) check(event session.Cancel) {
	if c.current != nil && event.Applies(c.record.Root, c.record.Mark) {
		c.current(&CancelledError{Reason: event.Reason})
	}
}

// begin returns the context of an attempt, which has ended already when the turn was cancelled before. The caller
// calls end after the attempt.
func (c *cancels) begin(ctx context.Context, r Record) (attempt context.Context, end func()) {
	attempt, cancel := context.WithCancelCause(ctx)

	c.mu.Lock()
	defer c.mu.Unlock()

	c.record, c.current = r, cancel
	for _, event := range c.known {
		c.check(event)
	}

	return attempt, func() {
		c.mu.Lock()
		defer c.mu.Unlock()

		c.current = nil

		cancel(nil)
	}
}

// cancelInput ends the input of a cancelled turn that the user is still writing. Whoever writes it is fenced.
func (r *run) cancelInput(ctx context.Context, record Record, reason string) error {
	if record.ID != record.Root || record.Stream != "" {
		return nil // its writer is a component, which ends it, or was another turn's
	}

	w, err := r.store.OpenWriter(ctx, stream.WriterConfig{
		Session: record.Session, Info: stream.Info{Stream: record.Input()}, Policy: stream.Resume,
	})
	if errors.Is(err, stream.ErrEnded) {
		return nil
	}

	if err != nil {
		return err
	}

	if err := w.Cancel(ctx, reason); err != nil && !errors.Is(err, stream.ErrFenced) {
		return err
	}

	return nil
}

// inputID is the stream that a turn processes.
func inputID(r Record) bus.StreamID { return bus.StreamID{Session: r.Session, Stream: r.Input()} }
