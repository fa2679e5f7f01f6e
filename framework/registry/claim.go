package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// TakenError says that another process has the id of an instance.
type TakenError struct {
	// Holder is who has it.
	Holder Instance

	revision uint64
}

// Error implements error.
func (e *TakenError) Error() string {
	return fmt.Sprintf("instance id %s is taken by process %d on %s, started %s; choose another id, or none to get a random one",
		&e.Holder, e.Holder.PID, e.Holder.Host, e.Holder.Started.UTC().Format(time.RFC3339))
}

// beat stores the entry once. It finds its way back after whatever became of the entry: expired, lost by the bus, or
// stored by an earlier try whose outcome was unknown.
func (m *Member) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(m.cfg.Heartbeat, time.Second))
	defer cancel()

	value, err := m.encode()
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}

	for {
		revision, err := m.kv.Set(ctx, bus.Registry, m.key, value, m.revision, m.ttl())
		if err == nil {
			m.accept(revision)

			return nil
		}

		if !errors.Is(err, bus.ErrConflict) {
			return err
		}

		if err := m.reclaim(ctx); err != nil {
			return err
		}
	}
}

// accept notes that the entry is stored.
func (m *Member) accept(revision uint64) {
	m.revision = revision

	m.mu.Lock()
	defer m.mu.Unlock()

	if m.accepted.IsZero() {
		close(m.joined)
	}

	m.accepted = time.Now()
}

// reclaim finds out at which revision the entry is ours. It returns a [*TakenError] when it is somebody else's.
func (m *Member) reclaim(ctx context.Context) error {
	there, err := m.kv.Get(ctx, bus.Registry, m.key)
	if errors.Is(err, bus.ErrNotFound) {
		m.revision = 0

		return nil
	}

	if err != nil {
		return err
	}

	holder, err := decode(there)
	if err == nil && holder.State == Terminated { // nobody needs it any longer
		m.revision = there.Revision

		return nil
	}

	if err != nil || holder.Run != m.self.Run { // who wrote something unreadable has the key all the same
		return &TakenError{Holder: holder, revision: there.Revision}
	}

	m.revision = there.Revision

	return nil
}

// await waits for the end of an entry of the same id, which a crashed process may have left behind: that one expires.
// One that is refreshed is alive, and the id is refused, as it is to a member that had joined before.
func (m *Member) await(ctx context.Context, taken *TakenError) error {
	const looks = 4

	m.mu.Lock()
	before := !m.accepted.IsZero()
	m.mu.Unlock()

	if before {
		return taken
	}

	end := time.Now().Add(2 * max(m.cfg.TTL, time.Duration(taken.Holder.TTL)*time.Second))

	for time.Now().Before(end) {
		if !pause(ctx, m.cfg.Heartbeat/looks) {
			return nil
		}

		there, err := m.kv.Get(ctx, bus.Registry, m.key)

		switch {
		case errors.Is(err, bus.ErrNotFound):
			return nil
		case errors.Is(err, bus.ErrClosed):
			return err
		case err == nil && there.Revision != taken.revision:
			return taken
		}
	}

	return taken
}
