package affinity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// served is who served a session last, as the bus knows it.
type served struct {
	key      string
	instance string // empty: nobody, as far as is known
	revision uint64
}

// lastServed asks the bus who served a session last.
func (b *Bus) lastServed(ctx context.Context, component, session string) (served, error) {
	key, err := subjects.ServedKey(session, component)
	if err != nil {
		return served{}, err //nolint:wrapcheck // it says which id
	}

	e, err := b.Get(ctx, bus.Sessions, key)
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return served{}, fmt.Errorf("ask who served the session: %w", err)
	}

	return served{key: key, instance: string(e.Value), revision: e.Revision}, nil
}

const (
	// renewals is how many times within its time to live a note is renewed, at most.
	renewals = 10
	// maxNoted bounds how many notes an instance remembers to have made.
	maxNoted = 10_000
)

// note says that this instance serves a session now. Where it said so not long ago it does nothing; where another instance
// said so in the meantime, that one may keep the session.
func (b *Bus) note(ctx context.Context, last served) error {
	if last.instance == b.cfg.Instance && !b.due(last.key) {
		return nil
	}

	if err := b.store(ctx, last); err != nil {
		return fmt.Errorf("note who serves the session: %w", err)
	}

	b.mu.Lock()
	defer b.mu.Unlock()

	if len(b.noted) >= maxNoted {
		clear(b.noted)
	}

	b.noted[last.key] = time.Now()

	return nil
}

// store stores the note. One that says the same as before is renewed only: it must not stand in the way of another
// instance that serves the session meanwhile.
func (b *Bus) store(ctx context.Context, last served) error {
	ttl := b.cfg.TTL.Truncate(time.Second)

	if last.instance == b.cfg.Instance {
		err := b.Renew(ctx, bus.Sessions, last.key, ttl)
		if !errors.Is(err, bus.ErrNotFound) {
			return err //nolint:wrapcheck // note says what it is about
		}

		last.revision = 0
	}

	_, err := b.Set(ctx, bus.Sessions, last.key, []byte(b.cfg.Instance), last.revision, ttl)
	if errors.Is(err, bus.ErrConflict) {
		return nil
	}

	return err //nolint:wrapcheck // note says what it is about
}

// due reports whether a note of this instance has to be renewed.
func (b *Bus) due(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()

	at, known := b.noted[key]

	return !known || time.Since(at) >= b.cfg.TTL/renewals
}
