package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// Share appends one chunk of JSON to a log of a session that any number of writers share, and returns its index. It
// returns after the bus stored it. The log has no end and one attempt; a [Reader] reads it as any stream.
//
// It fails with [ErrClosed], with bus.ErrInvalid for ids that can't be used, or with the bus's error; when the outcome
// is unknown, repeating it may store the chunk twice.
func (s *Store) Share(ctx context.Context, id bus.StreamID, body []byte) (uint64, error) {
	if id.Stream == subjects.Timeline {
		return 0, fmt.Errorf("append to shared log: stream id %q is reserved: %w", id.Stream, bus.ErrInvalid)
	}
	ctx, cancel := s.limit(ctx)
	defer cancel()
	if err := s.acquire(ctx); err != nil {
		return 0, fmt.Errorf("append to shared log: %w", err)
	}
	defer s.release()
	index, err := s.share(ctx, id, body, nil)
	if err != nil {
		return 0, fmt.Errorf("append to shared log: %w", err)
	}

	return index, nil
}

// Shared returns what a shared log holds now, as the authority for writes sees it.
func (s *Store) Shared(ctx context.Context, id bus.StreamID) ([]Chunk, error) {
	last, err := s.last(ctx, id)
	if err != nil || last == nil {
		return nil, err
	}
	chunks, err := s.visible(ctx, last)
	if err != nil && !errors.Is(err, ErrExpired) {
		return nil, fmt.Errorf("read shared log: %w", err)
	}

	return chunks, nil
}

// OpenShared opens a reader of a shared log, and returns what the log holds already; the reader goes on behind that.
// Whoever opens it must close it.
func (s *Store) OpenShared(ctx context.Context, id bus.StreamID) (*Reader, []Chunk, error) {
	r, err := s.OpenReader(ctx, id, bus.Cursor{})
	if err != nil {
		return nil, nil, err
	}
	r.anyHead = true
	chunks, err := r.stored(ctx)
	if err != nil {
		r.Close()

		return nil, nil, fmt.Errorf("read shared log: %w", err)
	}

	return r, chunks, nil
}

// End returns the cursor behind the last chunk that a log holds, as the authority for writes sees it; zero when it
// holds none.
func (s *Store) End(ctx context.Context, id bus.StreamID) (bus.Cursor, error) {
	last, err := s.last(ctx, id)
	if err != nil || last == nil {
		return bus.Cursor{}, err
	}

	return last.End(), nil
}

// glance is a look at the end of a log that may be outdated when it is used.
type glance struct {
	done chan struct{} // closed when the rest is set
	last *bus.Entry
	err  error
}

// glance looks at the end of a log while the caller does something else. It takes one try.
func (s *Store) glance(ctx context.Context, id bus.StreamID) (*glance, error) {
	g := &glance{done: make(chan struct{})}
	ctx = context.WithoutCancel(ctx) // the caller's call may end before what it was begun for
	err := s.spawn(func() {
		defer close(g.done)
		ctx, cancel := s.limit(ctx)
		defer cancel()
		g.last, g.err = s.log.Last(ctx, id)
	})

	return g, err
}

// end returns what the glance saw, or looks now where it saw nothing.
func (s *Store) end(ctx context.Context, id bus.StreamID, seen *glance) (*bus.Entry, error) {
	if seen == nil {
		return s.last(ctx, id)
	}
	select {
	case <-seen.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if seen.err != nil {
		return s.last(ctx, id)
	}

	return seen.last, nil
}

// share appends to a shared log, whose end may have been seen before. A conflict means: behind the other writer. A slot
// is held.
func (s *Store) share(ctx context.Context, id bus.StreamID, body []byte, seen *glance) (uint64, error) {
	unlock, err := s.lockShared(ctx, id)
	if err != nil {
		return 0, err
	}
	defer unlock()
	last, err := s.end(ctx, id, seen)
	if err != nil {
		return 0, fmt.Errorf("read the end of %s: %w", id, err)
	}
	f := &bus.Frame{ID: id, Attempt: 1, Writer: randomID(), Type: bus.JSON, Lengths: []int{len(body)}, Body: body}
	f.Begin = last == nil
	if last != nil {
		f.First = last.End().Index
	}
	e, err := s.append(ctx, f, last, func(f *bus.Frame, last *bus.Entry) (*bus.Entry, error) {
		f.Begin, f.First = false, last.End().Index

		return last, nil
	})
	if err != nil {
		return 0, err
	}

	return e.First, nil
}

// sharedLock lets one writer of the process at a time append to a log that many write.
type sharedLock struct {
	held  chan struct{}
	users int // guarded by the store's lock
}

// lockShared waits for a log and returns how to give it back. A slot is held on entry and on return, but not while it
// waits: the one that has the log gives its slot away between two tries and must get one again.
func (s *Store) lockShared(ctx context.Context, id bus.StreamID) (unlock func(), err error) {
	s.mu.Lock()
	l := s.shared[id]
	if l == nil {
		l = &sharedLock{held: make(chan struct{}, 1)}
		s.shared[id] = l
	}
	l.users++
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		l.users--
		if l.users == 0 {
			delete(s.shared, id)
		}
	}
	unlock = func() { <-l.held; leave() }
	select {
	case l.held <- struct{}{}:
		return unlock, nil
	default:
	}
	s.release()
	defer s.reacquire() // who holds a slot never waits for a log, so there will be one
	select {
	case l.held <- struct{}{}:
		return unlock, nil
	case <-s.closing:
		err = ErrClosed
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	leave()

	return nil, err
}
