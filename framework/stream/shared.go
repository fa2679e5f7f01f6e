package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// Share appends one chunk of JSON to a log of a session that any number of writers share, and returns the cursor behind it.
// It returns after the bus stored it. The log has no end and one attempt; a [Reader] reads it as any stream.
//
// It fails with [ErrClosed], with bus.ErrInvalid for ids that can't be used, or with the bus's error; when the outcome
// is unknown even after [Config].GiveUp, repeating it may store the chunk twice.
func (s *Store) Share(ctx context.Context, id bus.StreamID, body []byte) (bus.Cursor, error) {
	if id.Stream == subjects.Timeline {
		return bus.Cursor{}, fmt.Errorf("append to shared log: stream id %q is reserved: %w", id.Stream, bus.ErrInvalid)
	}
	ctx, cancel := s.limit(ctx)
	defer cancel()
	if err := s.acquire(ctx); err != nil {
		return bus.Cursor{}, fmt.Errorf("append to shared log: %w", err)
	}
	defer s.release()
	end, err := s.share(ctx, id, body, nil)
	if err != nil {
		return bus.Cursor{}, fmt.Errorf("append to shared log: %w", err)
	}

	return end, nil
}

// Shared returns what a shared log holds now, as the authority for writes sees it: all that has not expired.
func (s *Store) Shared(ctx context.Context, id bus.StreamID) (chunks []Chunk, err error) {
	last, err := s.last(ctx, id)
	if err == nil {
		err = s.scan(ctx, last, bus.Cursor{}, func(e *bus.Entry) bool {
			chunks = appendChunks(chunks, &e.Frame)

			return true
		})
	}
	if err != nil {
		return nil, fmt.Errorf("read shared log: %w", err)
	}

	return chunks, nil
}

// scan calls visit for the entries of a shared log from a place up to last, until it returns false. It rides over passing
// failures, and passes over what has expired.
func (s *Store) scan(ctx context.Context, last *bus.Entry, from bus.Cursor, visit func(*bus.Entry) bool) error {
	if last == nil {
		return nil
	}
	err := s.insistOn(ctx, func() error {
		for e, err := range s.log.Read(ctx, last, from) {
			if err != nil {
				return err
			}
			if e.End().Before(from) || e.End().Number() == from.Number() {
				continue
			}
			from = e.End() // another try goes on from here
			if !visit(e) {
				return nil
			}
		}

		return nil
	})
	if errors.Is(err, bus.ErrNotFound) { // all of it has expired since
		return nil
	}

	return err
}

// appendChunks appends the chunks of a frame of a shared log, which holds whole ones.
func appendChunks(chunks []Chunk, f *bus.Frame) []Chunk {
	at := 0
	for i, n := range f.Lengths {
		chunks = append(chunks, Chunk{
			Index: f.First + uint64(i), Data: f.Body[at : at+n : at+n], Attempt: int(f.Attempt), Type: f.Type,
		})
		at += n
	}

	return chunks
}

// OpenShared opens a reader of a shared log, and returns what the log holds already; the reader goes on behind that. It
// does without what has expired, and when the log begins anew it reads that from the beginning. Whoever opens it must close
// it.
func (s *Store) OpenShared(ctx context.Context, id bus.StreamID) (*Reader, []Chunk, error) {
	r, err := s.OpenReader(ctx, id, bus.Cursor{})
	if err != nil {
		return nil, nil, err
	}
	r.lost, r.merge.many = lostPassed, true
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
func (s *Store) share(ctx context.Context, id bus.StreamID, body []byte, seen *glance) (bus.Cursor, error) {
	unlock, err := s.lockShared(ctx, id)
	if err != nil {
		return bus.Cursor{}, err
	}
	defer unlock()
	last, err := s.end(ctx, id, seen)
	if err != nil {
		return bus.Cursor{}, fmt.Errorf("read the end of %s: %w", id, err)
	}
	f := &bus.Frame{ID: id, Attempt: 1, Writer: randomID(), Type: bus.JSON, Lengths: []int{len(body)}, Body: body}
	f.GoBehind(last)
	e, err := s.append(ctx, f, last, s.settleShared)
	if err != nil {
		return bus.Cursor{}, err
	}

	return e.End(), nil
}

// settleShared lets a frame go behind whatever the log ends with now, or begin it anew: that the log ends there is the
// condition of the next try, so a read that lags costs one more. When a try may have been stored it is looked for first,
// since others may have written behind it.
func (s *Store) settleShared(ctx context.Context, f *bus.Frame, c conflict) (stored, behind *bus.Entry, err error) {
	if c.unknown && c.last != nil {
		if stored, err := s.storedBy(ctx, f, c.last); stored != nil || err != nil {
			return stored, nil, err
		}
	}
	if c.after != nil && c.last != nil && c.after.Position == c.last.Position {
		return nil, c.after, nil // the read lags
	}
	f.GoBehind(c.last)

	return nil, c.last, nil
}

// storedBy returns the entry of a frame that may have been stored, in a log that ends with last; nil where it is not there.
func (s *Store) storedBy(ctx context.Context, f *bus.Frame, last *bus.Entry) (stored *bus.Entry, err error) {
	err = s.scan(ctx, last, bus.Cursor{Attempt: f.Attempt, Index: f.First}, func(e *bus.Entry) bool {
		if e.Writer == f.Writer {
			stored = e
		}

		return stored == nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for what was stored: %w", err)
	}

	return stored, nil
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
