package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// conflict is what is known when the bus reported one.
type conflict struct {
	after   *bus.Entry // what the frame was to go behind
	last    *bus.Entry // what the log ends with, which is not the frame itself; nil: it is empty
	unknown bool       // an earlier try may have been stored
}

// settle finds out, after a conflict, where the frame can go. It returns the frame's entry if it is stored, or else the
// entry to append the frame behind, or why that is impossible. That entry is the one of the conflict when what was read
// can't be true: the log is asked again then, unless it stays that way, for then the log is gone.
type settle func(ctx context.Context, f *bus.Frame, c conflict) (stored, behind *bus.Entry, err error)

// append stores a frame of the writer. A slot is held.
func (w *Writer) append(ctx context.Context, f *bus.Frame) error {
	a := w.announce(ctx, f)
	if a.done == nil && a.err != nil {
		return a.err
	}
	e, err := w.store.append(ctx, f, w.tail, w.settle)
	if failed := a.wait(w.store); err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	w.tail, w.begun = e, true

	return nil
}

// again stores a frame of the writer after a first try that failed. A slot is held.
func (w *Writer) again(ctx context.Context, f *bus.Frame, failed error) error {
	e, err := w.store.again(ctx, f, w.tail, w.settle, failed)
	if err != nil {
		return err
	}
	w.tail = e

	return nil
}

// errGaveUp is the cause of a context that ended because a frame took too long.
var errGaveUp = errors.New("gave up")

// limit bounds what is done for one frame when it takes more than one try.
func (s *Store) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.cfg.GiveUp, errGaveUp)
}

// append stores f behind after and returns it as it was stored: it repeats the append until the bus decided. A slot is
// held on entry and on return; it is free while append waits.
//
//   - nil: stored.
//   - ErrUnknown: the same frame again. If the first try was stored, the second conflicts and finds it.
//   - ErrBusy: not a verdict; wait a little.
//   - ErrFull: wait longer each time.
//   - ErrConflict: ask what the log ends with.
//   - anything else is final.
//
// Nearly always the first try is all there is, so it has no timer of its own: the bus bounds it.
func (s *Store) append(ctx context.Context, f *bus.Frame, after *bus.Entry, where settle) (*bus.Entry, error) {
	e, err := s.log.Append(ctx, f, after)
	if err == nil {
		return e, nil
	}

	return s.again(ctx, f, after, where, err)
}

// again is append after a first try that failed.
func (s *Store) again(
	ctx context.Context, f *bus.Frame, after *bus.Entry, where settle, failed error,
) (*bus.Entry, error) {
	ctx, cancel := s.limit(ctx)
	defer cancel()

	return s.insist(ctx, f, after, where, failed)
}

// insist goes on after a first try that failed.
func (s *Store) insist(
	ctx context.Context, f *bus.Frame, after *bus.Entry, where settle, err error,
) (*bus.Entry, error) {
	var past doubt
	unknown := false
	for try := 0; ; try++ {
		wait := backoff(try)
		unknown = unknown || errors.Is(err, bus.ErrUnknown)
		switch {
		case errors.Is(err, bus.ErrConflict):
			e, behind, settled := s.settle(ctx, f, conflict{after: after, unknown: unknown}, where)
			if e != nil || settled != nil {
				return e, settled
			}
			if behind != after {
				after, wait, past = behind, 0, doubt{}
			} else if after != nil && past.over(s.doubtFor) {
				return nil, fmt.Errorf("append frame: %w", ErrExpired)
			}
		case errors.Is(err, bus.ErrBusy):
			wait = jitter()
		case errors.Is(err, bus.ErrUnknown) && try == 0:
			wait = 0
		case !passing(ctx, err):
			return nil, s.gaveUp(ctx, err)
		}
		if err := s.yield(ctx, wait, err); err != nil {
			return nil, err
		}
		var e *bus.Entry
		if e, err = s.log.Append(ctx, f, after); err == nil {
			return e, nil
		}
	}
}

// settle decides a conflict by what the log ends with.
func (s *Store) settle(ctx context.Context, f *bus.Frame, c conflict, where settle) (stored, behind *bus.Entry, err error) {
	c.last, err = s.last(ctx, f.ID)
	switch {
	case err != nil:
		return nil, nil, s.gaveUp(ctx, err)
	case c.last != nil && c.last.Same(f):
		return c.last, nil, nil
	}
	stored, behind, err = where(ctx, f, c)
	if err != nil {
		return nil, nil, fmt.Errorf("append frame: %w", err)
	}

	return stored, behind, nil
}

// yield lets another writer have the slot while this one waits before its next try.
func (s *Store) yield(ctx context.Context, wait time.Duration, reason error) error {
	if wait == 0 {
		return nil
	}
	s.release()
	err := s.pause(ctx, wait)
	s.reacquire()
	if err != nil {
		return s.gaveUp(ctx, fmt.Errorf("%w: %w", err, reason))
	}

	return nil
}

// gaveUp says why an append failed, and that it was tried for long where that is so.
func (s *Store) gaveUp(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errGaveUp) {
		return fmt.Errorf("append frame: gave up after %v: %w", s.cfg.GiveUp, err)
	}

	return fmt.Errorf("append frame: %w", err)
}

// before reports whether position p is earlier in its log than q.
func before(p, q bus.Position) bool {
	return p.Major < q.Major || p.Major == q.Major && p.Minor < q.Minor
}
