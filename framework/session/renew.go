package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

const (
	// renewals is how many times within its time to live a session in use is renewed, at least.
	renewals = 10
	// maxInterval bounds the time between two renewals: a session that somebody else has ended is begun anew by the first
	// turn after that, and is listed as it is.
	maxInterval = 6 * time.Minute
	// maxRenewed bounds how many sessions a store remembers to have renewed.
	maxRenewed = 10_000
)

// Interval is how often a store renews a session in use, at most: once in a tenth of the time to live, and in 6 minutes.
func (s *Store) Interval() time.Duration {
	if s.cfg.TTL <= 0 {
		return maxInterval
	}

	return min(s.cfg.TTL/renewals, maxInterval)
}

// ttl is how long the bus keeps what belongs to a session, in whole seconds: as long as a session lasts that was renewed
// almost an interval before it was used last. 0: for ever.
func (s *Store) ttl() time.Duration {
	if s.cfg.TTL <= 0 {
		return 0
	}

	return (s.cfg.TTL + s.Interval() + time.Second - 1).Truncate(time.Second)
}

// Touch says that a session is in use: it makes one that is not there, or has ended, and renews one that is, with the
// state that components keep in it. It does so once in an [Store.Interval], and nothing in between. Renewing changes no
// state, so whoever has loaded one can save it.
func (s *Store) Touch(ctx context.Context, id string) error {
	due, first := s.due(id)
	if !due {
		return nil
	}

	return s.keep(ctx, id, first, func(there *Session, exists bool) error {
		if !exists || there.State != Active {
			there.begin()
		}

		if there.Graph == nil {
			there.Graph = DefaultGraph()
		}

		return nil
	})
}

// errIdle: a session is not there, or has ended.
var errIdle = errors.New("the session is not active")

// Renew renews a session that is there and has not ended, with the state in it, each time that it is called; otherwise it
// does nothing. It is for work that goes on in a session, once in an [Store.Interval]: other than a post, that begins none
// anew.
func (s *Store) Renew(ctx context.Context, id string) error {
	err := s.keep(ctx, id, look, func(there *Session, exists bool) error {
		if !exists || there.State != Active {
			return errIdle
		}

		return nil
	})
	if errors.Is(err, errIdle) {
		return nil
	}

	return err
}

// note makes a component one that has state in a session, and renews the session where that is due.
func (s *Store) note(ctx context.Context, id, component string, fresh bool) error {
	due, _ := s.due(id)
	if !due && !fresh {
		return nil
	}

	add := func(there *Session, exists bool) error {
		if !exists {
			there.begin()
			there.Graph = DefaultGraph()
		}

		if !slices.Contains(there.Components, component) {
			there.Components = append(there.Components, component)
		}

		return nil
	}

	if due {
		return s.keep(ctx, id, look, add)
	}

	_, err := s.change(ctx, id, look, add)

	return err
}

// keep applies a change to a session, which renews it, and renews the state in it.
func (s *Store) keep(
	ctx context.Context, id string, first guess, apply func(there *Session, exists bool) error,
) error {
	there, err := s.change(ctx, id, first, apply)
	if err == nil {
		for _, component := range there.Components {
			err = errors.Join(err, s.State(id, component).renew(ctx))
		}
	}

	if err != nil {
		s.forget(id)

		return fmt.Errorf("renew session %s: %w", id, err)
	}

	return nil
}

// renew lets the state last as long as a session that was renewed now.
func (c *ComponentState) renew(ctx context.Context) error {
	key, err := c.key()
	if err != nil {
		return err
	}

	if err := c.store.kv.Renew(ctx, bus.Sessions, key, c.store.ttl()); err != nil && !errors.Is(err, bus.ErrNotFound) {
		return fmt.Errorf("state of %s: %w", c.component, err)
	}

	return nil
}

// due reports whether a session should be renewed, and notes that it is. One that this store has not met is most often
// new.
func (s *Store) due(id string) (due bool, first guess) {
	s.mu.Lock()
	defer s.mu.Unlock()

	now := time.Now()

	last, known := s.renewed[id]
	if known && now.Sub(last) < s.Interval() {
		return false, look
	}

	if len(s.renewed) >= maxRenewed {
		clear(s.renewed)
	}

	s.renewed[id] = now

	return true, guess(!known)
}

func (s *Store) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()

	delete(s.renewed, id)
}
