package stream

import (
	"context"
	"time"
)

// wait blocks until something comes, ctx ends or the store closes. A live entry can get lost without anybody
// noticing, so the watch wakes a reader that waits for long, and it asks the log.
func (r *Reader) wait(ctx context.Context) error {
	if r.rested == 0 {
		r.rested = r.cfg.Recheck
	}
	due := time.Now().Add(r.rested).UnixNano()
	r.due.Store(due)
	defer r.due.Store(0)
	select {
	case <-r.wake:
		if r.due.Load() != due { // the watch was it
			r.rested = min(2*r.rested, r.cfg.RecheckMax)
		}

		return nil
	case <-r.store.closing:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// watch adds a reader to those that are watched, and begins the watch with the first.
func (s *Store) watch(ctx context.Context, r *Reader) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.readers[r] = struct{}{}
	s.watchLocked(ctx)

	return nil
}

// watchLocked begins the watch unless it runs.
func (s *Store) watchLocked(ctx context.Context) {
	if s.watching {
		return
	}
	s.watching = true
	detached := context.WithoutCancel(ctx)
	s.running.Go(func() { s.watchReaders(detached) })
}

// unwatch removes a reader from those that are watched.
func (s *Store) unwatch(r *Reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.readers, r)
}

// watchReaders wakes the readers that have waited for long, and repeats farewells. One goroutine serves them all, and
// ends with the last.
func (s *Store) watchReaders(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.Recheck)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			s.sayFarewells(ctx, now)
			if !s.wakeReaders(now) {
				return
			}
		case <-s.closing:
			return
		}
	}
}

// wakeReaders wakes the readers that are due and reports whether the watch goes on.
func (s *Store) wakeReaders(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.readers) == 0 && len(s.farewells) == 0 {
		s.watching = false

		return false
	}
	for r := range s.readers {
		if due := r.due.Load(); due != 0 && due <= now.UnixNano() && r.due.CompareAndSwap(due, 0) {
			r.fallBehind()
			r.rouse()
		}
	}

	return true
}
