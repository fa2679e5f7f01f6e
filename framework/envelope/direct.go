package envelope

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

const (
	reasonExpired   = "expired"
	reasonExhausted = "retries exhausted"
	reasonCut       = "interrupted: the handler of an earlier delivery did not come to its end"
)

// Send stores a message in the mailbox of its Target and Session and returns it as it was stored. It returns after the
// bus stored it in its durability class; the message waits there until a handler of the component takes it. Sending a
// message again with the same ID is harmless on a bus that knows the letters that wait, and may repeat it on others.
//
// It fails with bus.ErrInvalid, bus.ErrTooLarge, [ErrClosed], or the bus's error.
func (b *Bus) Send(ctx context.Context, m Message) (Message, error) { return b.send(ctx, m, "") }

// send sends a message in a letter of that id, by default the message's.
func (b *Bus) send(ctx context.Context, m Message, letter string) (Message, error) {
	m, body, err := b.prepare(ctx, m)
	if err == nil {
		err = b.post(ctx, m, cmp.Or(letter, m.ID), body)
	}

	if err != nil {
		b.stats.failed()

		return m, fmt.Errorf("send %.40q to %.64q: %w", m.EventType, m.Target, err)
	}

	b.stats.published()

	return m, nil
}

func (b *Bus) post(ctx context.Context, m Message, letter string, body []byte) error {
	box, err := subjects.MessageBox(m.Target)
	if err != nil {
		return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	l := &bus.Letter{ID: letter, Component: box, Session: cmp.Or(m.Session, subjects.AppSession), Body: body}

	for range onceTries {
		if err = b.bus.Post(ctx, l); err == nil || !passing(err) {
			return err
		}

		if wait := pause(ctx, oncePause); wait != nil {
			return errors.Join(wait, err)
		}
	}

	return fmt.Errorf("given up after %d tries: %w", onceTries, err)
}

// Handle calls handler for the messages that were sent to a component: those of one session one after another in the
// order they were sent, those of different sessions at the same time, over all processes that handle the component. It
// returns nil when ctx has ended and the handlers in progress have returned, [ErrClosed] when the bus of messages was
// closed, or the bus's error.
//
// A message whose handler fails is tried again later, while those of its session wait, as [Message].MaxRetries and TTL
// allow; then, and when it has expired before, it is set aside as a dead letter. So is one whose handler panics, or ends
// its process, time after time. That it was handed out and not tried takes no retry away. One of AtMostOnce is not tried
// again: where its process died, or lost the mailbox to another one, before it was done, it is set aside as interrupted.
// That costs a write for each; of the other modes only messages that failed or were handed out before cost more.
func (b *Bus) Handle(ctx context.Context, component string, handler Handler) error {
	box, err := subjects.MessageBox(component)
	if err != nil {
		return fmt.Errorf("handle messages: %w: %w", bus.ErrInvalid, err)
	}

	s := &Subscription{bus: b, done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancelCause(ctx)

	err = b.run(s, func() {
		defer close(s.done)
		defer b.forget(s)

		s.err = b.bus.Work(s.ctx, box, bus.WorkConfig{Concurrency: b.cfg.Concurrency}, func(ctx context.Context, c bus.Claim) {
			b.serve(ctx, s.ctx, c, handler)
		})
	})
	if err != nil {
		s.cancel(nil)

		return fmt.Errorf("handle messages of %s: %w", component, err)
	}

	b.stats.component(1)
	defer b.stats.component(-1)

	<-s.done
	defer s.cancel(nil)

	if s.err == nil && errors.Is(context.Cause(s.ctx), ErrClosed) {
		return ErrClosed
	}

	return s.err
}

// serve works off one mailbox, until it is empty, a message must wait, or the work is to end.
func (b *Bus) serve(ctx, work context.Context, c bus.Claim, handler Handler) {
	for {
		l, err := c.Next(ctx)
		if err != nil || l == nil {
			return // what is left is handed out again after the lease
		}

		wait, done, err := b.deliver(ctx, l, handler)
		if err != nil {
			wait, done = b.cfg.Backoff, false // nothing was decided
		}

		if !done {
			_ = c.Release(ctx, wait) // else it is handed out again after the lease

			return
		}

		if c.Done(ctx, l) != nil {
			return
		}

		if work.Err() != nil {
			_ = c.Release(ctx, 0)

			return
		}
	}
}

// deliver handles one letter. It reports whether the letter is done, or after which time it is to be tried again.
func (b *Bus) deliver(ctx context.Context, l *bus.Letter, handler Handler) (wait time.Duration, done bool, err error) {
	var m Message
	if err := json.Unmarshal(l.Body, &m); err != nil {
		return 0, true, b.buryLetter(ctx, l, err.Error())
	}

	now, err := b.bus.Now(ctx)
	if err != nil {
		return 0, false, err
	}

	if m.Expired(now) {
		b.stats.expired(1)

		return 0, true, b.buryLetter(ctx, l, reasonExpired)
	}

	t, err := b.triesOf(l, &m, now)
	if err != nil {
		return 0, true, b.buryLetter(ctx, l, err.Error()) // it is none that Send has sent
	}

	if m.Mode == AtMostOnce {
		return 0, true, b.deliverOnce(ctx, t, handler, m)
	}

	if m.RetryCount, err = t.begin(ctx); err != nil {
		return 0, false, err
	}

	return b.try(ctx, t, handler, m)
}

// deliverOnce handles a message of AtMostOnce, unless somebody has begun to. Who fails, and who doesn't come to an end,
// leaves a dead letter.
func (b *Bus) deliverOnce(ctx context.Context, t *tries, handler Handler, m Message) error {
	switch err := t.once(ctx); {
	case errors.Is(err, errCopy):
		return nil
	case errors.Is(err, errCut):
		return b.buryLetter(ctx, t.letter, reasonCut)
	case err != nil:
		return err
	}

	failure := b.handle(ctx, handler, m)
	if failure == nil || ctx.Err() != nil {
		return context.Cause(ctx) // who has the claim now finds that the try has begun
	}

	return b.buryLetter(ctx, t.letter, b.reason(ctx, m, failure))
}

// try handles a message that may be tried again.
func (b *Bus) try(ctx context.Context, t *tries, handler Handler, m Message) (wait time.Duration, done bool, err error) {
	if m.RetryCount > max(m.MaxRetries, 0) { // of which none has said that it failed
		return 0, true, b.buryLetter(ctx, t.letter, b.reason(ctx, m, errDied))
	}

	if m.RetryCount > 0 {
		b.stats.retried()
	}

	failure := b.handle(ctx, handler, m)

	switch {
	case failure == nil:
		return 0, true, nil
	case ctx.Err() != nil:
		t.cut(ctx)

		return 0, false, context.Cause(ctx) // the claim was lost; another one has the message
	case b.canRetry(ctx, m):
		return b.backoff(m.RetryCount), false, t.failed(ctx)
	}

	return 0, true, b.buryLetter(ctx, t.letter, b.reason(ctx, m, failure))
}

// age returns how old a message is; 0 where the broker doesn't say how late it is.
func (b *Bus) age(ctx context.Context, m Message) time.Duration {
	now, err := b.bus.Now(ctx)
	if err != nil {
		return 0
	}

	return max(now.Sub(m.CreatedAt), 0)
}

// errPanic: a handler panicked.
var errPanic = errors.New("the handler panicked")

// errDied: each try of a message that was not noted as failed ended with its process.
var errDied = errors.New("the process of each try ended while it handled the message")

// reason says why a message is set aside.
func (b *Bus) reason(ctx context.Context, m Message, failure error) string {
	why := reasonExhausted
	if now, err := b.bus.Now(ctx); err == nil && m.Expired(now) {
		why = reasonExpired
	}

	return why + ": " + failure.Error()
}

// canRetry reports whether a message may be tried again, also where the broker doesn't say how late it is.
func (b *Bus) canRetry(ctx context.Context, m Message) bool {
	now, err := b.bus.Now(ctx)
	if err != nil {
		now = m.CreatedAt
	}

	return m.CanRetry(now)
}

// handle calls a handler and counts how it went. One that panics has failed.
func (b *Bus) handle(ctx context.Context, handler Handler, m Message) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
			b.cfg.Logger.Error().Str("message", m.ID).Str("event", m.EventType).Bytes("stack", debug.Stack()).
				Msg("the handler of a message panicked")
		}

		b.stats.handled(b.age(ctx, m), err)
	}()

	return handler(ctx, m)
}

// backoff returns how long a message waits before its next try.
func (b *Bus) backoff(retries int) time.Duration {
	wait := b.cfg.Backoff
	for range min(retries, 30) {
		wait = min(2*wait, b.cfg.BackoffMax)
	}

	return min(wait, b.cfg.BackoffMax)
}
