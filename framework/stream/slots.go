package stream

import (
	"context"
	"sync"
)

// slots bound how many appends are in flight at once. Who waits for one is served in the order of coming, and needs no
// goroutine for it.
type slots struct {
	mu      sync.Mutex
	free    int
	waiting []func() bool // what to do with a slot; false: it is not wanted any more
}

// take calls run, with a slot, at once or when there is one, then in the goroutine of whoever gave it back.
func (s *slots) take(run func()) {
	if !s.enter(func() bool { run(); return true }) {
		return
	}
	run()
}

// try takes a slot if one is free and nobody waits.
func (s *slots) try() bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.tryLocked()
}

func (s *slots) tryLocked() bool {
	if s.free == 0 {
		return false
	}
	s.free--

	return true
}

// enter takes a slot if one is free, or else waits for one with run.
func (s *slots) enter(run func() bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tryLocked() {
		return true
	}
	s.waiting = append(s.waiting, run)

	return false
}

// wait waits for a slot until done or closing is closed, either of which may be nil, and reports whether it has one.
func (s *slots) wait(done, closing <-chan struct{}) bool {
	w := &waiter{granted: make(chan struct{})}
	if s.enter(w.grant) {
		return true
	}
	select {
	case <-w.granted:
		return true
	case <-done:
	case <-closing:
	}

	return !w.leave()
}

// give gives a slot back, to the first who waits and still wants it.
func (s *slots) give() {
	for {
		run := s.next()
		if run == nil || run() {
			return
		}
	}
}

// next returns the first who waits. When nobody does, the slot is free.
func (s *slots) next() func() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		s.waiting = nil
		s.free++

		return nil
	}
	run := s.waiting[0]
	s.waiting[0] = nil
	s.waiting = s.waiting[1:]

	return run
}

// waiter is a goroutine that waits for a slot.
type waiter struct {
	mu      sync.Mutex
	granted chan struct{}
	over    bool // granted or gone
}

func (w *waiter) grant() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return false
	}
	w.over = true
	close(w.granted)

	return true
}

// leave reports whether the waiter is gone before it was granted a slot.
func (w *waiter) leave() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	gone := !w.over
	w.over = true

	return gone
}

// acquire takes one of the store's slots for an append in flight.
func (s *Store) acquire(ctx context.Context) error {
	switch {
	case s.slots.try() || s.slots.wait(ctx.Done(), s.closing):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return ErrClosed
	}
}

// reacquire takes a slot however long that takes: every holder gives its slot back in bounded time.
func (s *Store) reacquire() { s.slots.wait(nil, nil) }

// release gives a slot back.
func (s *Store) release() { s.slots.give() }
