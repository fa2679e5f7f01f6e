package turn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

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
	stop  context.CancelFunc
	ready chan struct{} // closed when all that was there is known, or can't be
	over  chan struct{} // closed when the control log is no longer followed
	err   error         // why nothing is known; set before ready is closed

	mu      sync.Mutex
	known   []session.Cancel
	present string // the life that the control log is in
	record  Record
	current context.CancelCauseFunc // of the attempt that runs; nil between attempts
}

// watchCancels begins to follow the session's control log while the claim's first letter is still being looked for.
func watchCancels(ctx context.Context, store *stream.Store, id string) *cancels {
	ctx, stop := context.WithCancel(ctx)
	c := &cancels{stop: stop, ready: make(chan struct{}), over: make(chan struct{})}

	go func() {
		defer close(c.over)

		c.follow(ctx, store, id)
	}()

	return c
}

// followAgain is how long it takes until the control log is asked again that could not be read for long.
const followAgain = time.Second

// follow learns what is cancelled until ctx ends.
func (c *cancels) follow(ctx context.Context, store *stream.Store, id string) {
	w, err := session.NewWatch(ctx, store, id)
	if err != nil {
		c.err = err
		close(c.ready)

		return
	}
	defer w.Close()

	c.mu.Lock()
	for _, event := range w.Known() {
		c.learn(event)
	}
	c.mu.Unlock()
	close(c.ready)

	for ctx.Err() == nil {
		event, err := w.Next(ctx)

		switch {
		case err == nil:
			c.add(event)
		case errors.Is(err, stream.ErrClosed), errors.Is(err, bus.ErrClosed):
			return
		default: // an outage that is long; the log is followed from where it was
			select {
			case <-time.After(followAgain):
			case <-ctx.Done():
			}
		}
	}
}

// wait returns when all cancels that were there when the claim began are known, or why they can't be.
func (c *cancels) wait() error {
	<-c.ready

	return c.err
}

// close stops to follow the control log and waits for that.
func (c *cancels) close() {
	c.stop()
	<-c.over
}

func (c *cancels) add(event session.Cancel) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.learn(event)
	c.check(event)
}

// learn keeps an event, with the lock held. The last one is of the present life.
func (c *cancels) learn(event session.Cancel) {
	c.known = append(c.known, event)
	c.present = event.At.Life
}

// look finds out in which life the control log is where that decides whether a cancel is about a turn: one that cancelled
// the whole session, in another life than that of the turn's mark.
func (c *cancels) look(ctx context.Context, store *stream.Store, r Record) error {
	c.mu.Lock()
	unsure := slices.ContainsFunc(c.known, func(event session.Cancel) bool {
		return event.Root == "" && event.At.Life != r.Mark.Life
	})
	c.mu.Unlock()

	if !unsure {
		return nil
	}

	now, err := session.Mark(ctx, store, r.Session)
	if err != nil {
		return fmt.Errorf("look for cancels: %w", err)
	}

	c.mu.Lock()
	defer c.mu.Unlock()

	c.present = now.Life

	return nil
}

// check ends the running attempt if the event is about its turn.
func (c *cancels) check(event session.Cancel) {
	if c.current != nil && event.Applies(c.record.Root, c.record.Mark, c.present) {
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

// cancelInput ends the input of a cancelled turn that the user is still writing. Whoever writes it is fenced. One that
// nobody has begun to write is not announced: there is nothing to see of it.
func (r *run) cancelInput(ctx context.Context, record Record, reason string) error {
	if record.ID != record.Root || record.Stream != "" {
		return nil // its writer is a component, which ends it, or was another turn's
	}

	w, err := r.store.OpenWriter(ctx, stream.WriterConfig{
		Session: record.Session, Info: stream.Info{Stream: record.Input()}, Policy: stream.Resume, Unlisted: true,
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
