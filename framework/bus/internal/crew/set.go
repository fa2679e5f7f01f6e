package crew

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/lease"
)

// closeGrace is how long a bus that is closed waits for what it calls to notice that it was cancelled.
const closeGrace = 2 * time.Second

// Worker is one call of Work.
type Worker interface {
	comparable
	// Component is whose mailboxes it takes.
	Component() string
	// End ends it and what it serves, for the reason given. It must not block.
	End(cause error)
	// Room is for its claims.
	Room() *Room
	// Adopt begins to serve the claim of a ticket, which lasts until then, in the room of one claim, and gives that back
	// when it has served it. It fails at once or not at all.
	Adopt(t *bus.Ticket, until time.Time) error
}

// Set is all workers of a bus. Its zero value is empty. All methods may be called concurrently.
type Set[W Worker] struct {
	mu      sync.Mutex
	closed  bool
	all     map[W]struct{}
	running sync.WaitGroup
}

// Join makes a worker known. It reports whether the bus is open; then the worker must Leave.
func (s *Set[W]) Join(w W) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.closed {
		return false
	}

	if s.all == nil {
		s.all = map[W]struct{}{}
	}

	s.all[w] = struct{}{}
	s.running.Add(1)

	return true
}

// Leave forgets a worker.
func (s *Set[W]) Leave(w W) {
	s.mu.Lock()
	defer s.mu.Unlock()

	delete(s.all, w)
	s.running.Done()
}

// Each calls do for each worker. do must not block.
func (s *Set[W]) Each(do func(w W)) {
	s.mu.Lock()
	defer s.mu.Unlock()

	for w := range s.all {
		do(w)
	}
}

// Adopt is that of [bus.Mailbox]. A claim lasts from before its ticket was asked for, so a ticket that was long on its way
// is not taken for a good one.
func (s *Set[W]) Adopt(
	ctx context.Context, component string, ask func(ctx context.Context) (*bus.Ticket, error),
) (bool, error) {
	var of []W

	s.Each(func(w W) {
		if w.Component() == component {
			of = append(of, w)
		}
	})

	for _, w := range of {
		if !w.Room().Enter() {
			continue
		}

		if err := adopt(ctx, w, ask); err != nil {
			w.Room().Leave()

			return false, fmt.Errorf("adopt mailbox: %w", err)
		}

		return true, nil
	}

	return false, nil
}

func adopt[W Worker](ctx context.Context, w W, ask func(ctx context.Context) (*bus.Ticket, error)) error {
	asked := time.Now()

	t, err := ask(ctx)
	if err != nil {
		return err
	}

	if t.Component != w.Component() {
		return fmt.Errorf("the ticket is of another component: %w", bus.ErrInvalid)
	}

	until := asked.Add(t.Left)
	if lease.Left(until) < 0 {
		return fmt.Errorf("the ticket came too late: %w", bus.ErrLost)
	}

	return w.Adopt(t, until)
}

// End ends all workers, and lets no more join.
func (s *Set[W]) End(cause error) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()

	s.Each(func(w W) { w.End(cause) })
}

// Close ends all workers and waits until they have returned, but not for long nor beyond ctx: a serve that doesn't heed
// its context ends later, with every call of it failing.
func (s *Set[W]) Close(ctx context.Context, cause error) {
	s.End(cause)
	AwaitEnd(ctx, &s.running)
}

// AwaitEnd waits for a group, but not for long nor beyond ctx.
func AwaitEnd(ctx context.Context, running *sync.WaitGroup) {
	ended := make(chan struct{})

	go func() {
		defer close(ended)

		running.Wait()
	}()

	grace := time.NewTimer(closeGrace)
	defer grace.Stop()

	select {
	case <-ended:
	case <-ctx.Done():
	case <-grace.C:
	}
}
