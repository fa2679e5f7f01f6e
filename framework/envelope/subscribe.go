package envelope

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/subjects"
)

// ErrQueueDeleted is what the subscriptions of a session end with whose queue was deleted.
var ErrQueueDeleted = errors.New("the session's queue was deleted")

// savePassed is after how many messages that the filter leaves out a durable subscription keeps its place.
const savePassed = 256

// Handler handles a message. An error makes it fail; what follows from that depends on how the message came.
type Handler func(ctx context.Context, m Message) error

// Filter says which messages a subscription gets. The zero value is every message of the application.
type Filter struct {
	// Pattern is matched with the event type; see [Match]. Defaults to ">", everything.
	Pattern string
	// Session keeps to the messages of one session. Defaults to the application's log, which holds the messages of all
	// sessions unless [Config].SessionsOnly is set.
	Session string
	// Component keeps to the messages whose Target it is. Defaults to all.
	Component string
	// Name makes the subscription durable: the next one of that name goes on behind the last message that was handled,
	// after a crash as well. It begins with what is published from the first time on. One process at a time uses a
	// name. Defaults to none: the subscription gets what is published while it lasts.
	Name string
}

// Subscription is a subscription in progress.
type Subscription struct {
	bus      *Bus
	filter   Filter
	handler  Handler
	id       bus.StreamID
	key      string // of the cursor; empty without a name
	revision uint64
	at       bus.Cursor      // behind the last message that needs nothing any more
	ctx      context.Context //nolint:containedctx // it is that of the subscription's goroutine, which handlers get
	cancel   context.CancelCauseFunc
	passed   int // messages that the filter left out
	done     chan struct{}
	err      error
}

// Subscribe calls handler for each message that is published and passes the filter, one after another in the order of
// the log, until the subscription is closed. handler's context has the values of ctx and ends with the subscription.
//
// A message whose handler fails is not tried again without a name, or if its mode is AtMostOnce. Else it is tried again,
// while those behind it wait, as [Message].MaxRetries and TTL allow, and then set aside as a dead letter. Expired
// messages are counted and not handled.
func (b *Bus) Subscribe(ctx context.Context, filter Filter, handler Handler) (*Subscription, error) {
	if filter.Pattern == "" {
		filter.Pattern = ">"
	}

	s := &Subscription{bus: b, filter: filter, handler: handler, id: eventLog(filter.Session), done: make(chan struct{})}

	from, err := s.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %.40q: %w", filter.Pattern, err)
	}

	s.at = from
	s.ctx, s.cancel = context.WithCancelCause(context.WithoutCancel(ctx))

	reader, err := b.store.OpenReader(ctx, s.id, from)
	if err == nil {
		err = b.run(s, func() { s.run(reader) })
	}

	if err != nil {
		s.cancel(nil)

		if reader != nil {
			reader.Close()
		}

		return nil, fmt.Errorf("subscribe to %.40q: %w", filter.Pattern, err)
	}

	return s, nil
}

// begin returns where the subscription begins.
func (s *Subscription) begin(ctx context.Context) (bus.Cursor, error) {
	if err := s.check(); err != nil {
		return bus.Cursor{}, err
	}

	end, err := s.bus.store.End(ctx, s.id)
	if err != nil || s.filter.Name == "" {
		return end, err
	}

	if s.key, err = subjects.SubscriberKey(s.id.Session, s.filter.Name); err != nil {
		return bus.Cursor{}, fmt.Errorf("%w: %w", bus.ErrInvalid, err)
	}

	e, err := s.bus.bus.Get(ctx, bus.Sessions, s.key)
	if errors.Is(err, bus.ErrNotFound) {
		return end, s.save(ctx, end)
	}

	if err != nil {
		return bus.Cursor{}, err
	}

	s.revision = e.Revision

	return bus.ParseCursor(string(e.Value)) // the reader finds out whether that is still there
}

func (s *Subscription) check() error {
	if s.filter.Session != "" {
		if err := checkSession(s.filter.Session); err != nil {
			return err
		}
	}

	if s.filter.Component != "" {
		if err := subjects.CheckID("component", s.filter.Component); err != nil {
			return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
		}
	}

	if s.filter.Name != "" {
		if _, err := subjects.MessageBox(s.filter.Name); err != nil { // of its dead letters
			return fmt.Errorf("%w: %w", bus.ErrInvalid, err)
		}
	}

	return CheckPattern(s.filter.Pattern)
}

// Close ends the subscription and waits for the handler in progress; a handler must not call it. It is idempotent.
func (s *Subscription) Close() {
	s.cancel(ErrClosed)
	<-s.done
}

// Done is closed when the subscription has ended.
func (s *Subscription) Done() <-chan struct{} { return s.done }

// Err returns why the subscription ended: nil after Close or while it goes on, else [ErrQueueDeleted] or the bus's
// error.
func (s *Subscription) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

func (s *Subscription) run(reader *stream.Reader) {
	defer close(s.done)
	defer s.cancel(nil)
	defer s.bus.forget(s)
	defer func() { reader.Close() }()

	for s.ctx.Err() == nil {
		err := s.next(reader)
		if err == nil {
			continue
		}

		again, err := s.again(err)
		if err != nil {
			if s.ctx.Err() == nil {
				s.err = fmt.Errorf("subscription to %.40q: %w", s.filter.Pattern, err)
			}

			return
		}

		reader.Close()
		reader = again
	}
}

// again opens a new reader after a failure, where the subscription is or where the log begins now. It returns the error
// when the subscription is over.
func (s *Subscription) again(err error) (*stream.Reader, error) {
	for {
		over := errors.Is(err, ErrQueueDeleted) || errors.Is(err, stream.ErrClosed) || errors.Is(err, bus.ErrClosed)
		if over || s.ctx.Err() != nil {
			return nil, err
		}

		if errors.Is(err, stream.ErrExpired) {
			err = s.skip()
		} else {
			err = pause(s.ctx, s.bus.cfg.Backoff)
		}

		var reader *stream.Reader
		if err == nil {
			if reader, err = s.bus.store.OpenReader(s.ctx, s.id, s.at); err == nil {
				return reader, nil
			}
		}
	}
}

// skip goes to the oldest entry that the log still holds behind where the subscription is, and counts what has expired
// before it. In a log that has begun anew, or ends before that place, this is the oldest of all.
func (s *Subscription) skip() error {
	end, err := s.bus.store.End(s.ctx, s.id)
	if err != nil {
		return err
	}

	chunks, err := s.bus.store.Shared(s.ctx, s.id)
	if err != nil {
		return err
	}

	if !s.at.Alive(end.Life) || end.Before(s.at) {
		s.at = bus.Cursor{}
	}

	i := slices.IndexFunc(chunks, func(c stream.Chunk) bool { return c.Index >= s.at.Index })
	if i >= 0 && chunks[i].Index > s.at.Index {
		s.bus.stats.expired(chunks[i].Index - s.at.Index)
		s.at = bus.Cursor{Attempt: 1, Index: chunks[i].Index, Life: end.Life}
	}

	return nil
}

// next handles one entry of the log.
func (s *Subscription) next(reader *stream.Reader) error {
	e, err := reader.Next(s.ctx)
	if err != nil {
		return err
	}

	if s.key == "" {
		s.at = e.Cursor
	}

	if err := s.entry(e); err != nil {
		return err
	}

	s.at = e.Cursor

	return nil
}

func (s *Subscription) entry(e stream.Event) error {
	if e.Kind != stream.KindChunk {
		return nil
	}

	var m Message
	if err := json.Unmarshal(e.Chunk.Data, &m); err != nil {
		s.bus.stats.failed() // nothing that can be handled now or later

		return s.saveIfNamed(s.ctx, e.Cursor)
	}

	if m.EventType == queueDeleted {
		return errors.Join(ErrQueueDeleted, s.saveIfNamed(s.ctx, e.Cursor))
	}

	return s.handle(m, e.Cursor)
}

// handle calls the handler for a message of the filter, and keeps that it did: before it for what must not be handled
// twice, else after it.
func (s *Subscription) handle(m Message, after bus.Cursor) error {
	if !Match(s.filter.Pattern, m.EventType) || s.filter.Component != "" && s.filter.Component != m.Target {
		s.passed++
		if s.passed%savePassed != 0 {
			return nil // to pass it again costs less than to keep that it was passed
		}

		return s.saveIfNamed(s.ctx, after)
	}

	now, err := s.bus.bus.Now(s.ctx)
	if err != nil {
		return err
	}

	if m.Expired(now) {
		s.bus.stats.expired(1)

		return s.saveIfNamed(s.ctx, after)
	}

	if s.key == "" || m.Mode == AtMostOnce {
		if err := s.saveIfNamed(s.ctx, after); err != nil {
			return err
		}

		_ = s.bus.handle(s.ctx, s.handler, m) // counted

		return nil
	}

	if err := s.insist(m); err != nil {
		return err
	}

	return s.saveIfNamed(context.WithoutCancel(s.ctx), after)
}

// insist tries a message until it was handled or set aside.
func (s *Subscription) insist(m Message) error {
	for {
		err := s.bus.handle(s.ctx, s.handler, m)
		if err == nil {
			return nil
		}

		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}

		if !s.bus.canRetry(s.ctx, m) {
			return s.bus.bury(s.ctx, s.filter.Name, m, s.bus.reason(s.ctx, m, err))
		}

		if err := pause(s.ctx, s.bus.backoff(m.RetryCount)); err != nil {
			return err
		}

		m.RetryCount++
		s.bus.stats.retried()
	}
}

func (s *Subscription) saveIfNamed(ctx context.Context, at bus.Cursor) error {
	if s.key == "" {
		return nil
	}

	return s.save(ctx, at)
}

// save keeps how far the subscription is. Whoever else uses the name is ahead or will find this.
func (s *Subscription) save(ctx context.Context, at bus.Cursor) error {
	for range onceTries {
		revision, err := s.bus.bus.Set(ctx, bus.Sessions, s.key, []byte(at.String()), s.revision, 0)
		if err == nil {
			s.revision = revision

			return nil
		}

		if !passing(err) {
			return fmt.Errorf("keep the place of %s: %w", s.filter.Name, err)
		}

		switch e, err := s.bus.bus.Get(ctx, bus.Sessions, s.key); {
		case errors.Is(err, bus.ErrNotFound):
			s.revision = 0
		case err == nil:
			s.revision = e.Revision
		}

		if err := pause(ctx, oncePause); err != nil {
			return err
		}
	}

	return fmt.Errorf("keep the place of %s: given up after %d tries: %w", s.filter.Name, onceTries, bus.ErrConflict)
}
