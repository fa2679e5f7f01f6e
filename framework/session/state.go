package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// ComponentState is what one component keeps in one session, as JSON. It is for one goroutine at a time; any number of
// them, in any number of processes, may share the state.
type ComponentState struct {
	store         *Store
	id, component string
	revision      uint64
}

// State returns a component's state in a session. Ids that can't be used fail with the first call.
func (s *Store) State(id, component string) *ComponentState {
	return &ComponentState{store: s, id: id, component: component}
}

// Load reads the state into v, and leaves v as it is when there is none. It remembers the revision for Save.
func (c *ComponentState) Load(ctx context.Context, v any) error {
	value, err := c.get(ctx)
	if err != nil {
		return fmt.Errorf("load state of %s in session %s: %w", c.component, c.id, err)
	}

	if value == nil {
		return nil
	}

	if err := json.Unmarshal(value, v); err != nil {
		return fmt.Errorf("decode state of %s in session %s: %w", c.component, c.id, err)
	}

	return nil
}

// Save stores v in place of the state that Load saw. It returns bus.ErrConflict when somebody else saved since: load
// again and decide, or use [Update]; that the session was renewed since is no change. The size of the JSON is bounded by
// bus.Info.MaxBody, over which it returns bus.ErrTooLarge. The state lasts as long as the session, which saving renews.
func (c *ComponentState) Save(ctx context.Context, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode state of %s in session %s: %w", c.component, c.id, err)
	}

	if err := c.put(ctx, value); err != nil {
		return fmt.Errorf("save state of %s in session %s: %w", c.component, c.id, err)
	}

	return nil
}

// Update changes a component's state: change gets what is there now, or a zero value, again whenever somebody else was
// faster, so no change of anybody is lost. It fails with what change returns, and with bus.ErrUnknown when it can't be
// said whether the change was stored.
func Update[T any](ctx context.Context, c *ComponentState, change func(*T) error) error {
	key, err := c.key()
	if err != nil {
		return fmt.Errorf("update state of %s in session %s: %w", c.component, c.id, err)
	}

	unlock, err := c.store.updating.lock(ctx, key)
	if err != nil {
		return fmt.Errorf("update state of %s in session %s: %w", c.component, c.id, err)
	}
	defer unlock()

	for try := 0; ; try++ {
		var v T
		if err := c.Load(ctx, &v); err != nil {
			return err
		}

		if err := change(&v); err != nil {
			return err
		}

		err := c.Save(ctx, &v)
		if err == nil || !again(ctx, err, try) {
			return err
		}
	}
}

// get reads the stored state, nil when there is none, and remembers its revision.
func (c *ComponentState) get(ctx context.Context) ([]byte, error) {
	key, err := c.key()
	if err != nil {
		return nil, err
	}

	e, err := c.store.kv.Get(ctx, bus.Sessions, key)
	if errors.Is(err, bus.ErrNotFound) {
		c.revision = 0

		return nil, nil
	}

	if err != nil {
		return nil, err
	}

	c.revision = e.Revision

	return e.Value, nil
}

// put stores the state. The session knows of the component before there is something to renew and to delete.
func (c *ComponentState) put(ctx context.Context, value []byte) error {
	key, err := c.key()
	if err != nil {
		return err
	}

	if most := c.store.kv.Info().MaxBody; most > 0 && len(value) > most {
		return fmt.Errorf("%d bytes of at most %d: %w", len(value), most, bus.ErrTooLarge)
	}

	if err := c.store.note(ctx, c.id, c.component, c.revision == 0); err != nil {
		return err
	}

	revision, err := set(ctx, c.store.kv, key, value, c.revision, c.store.ttl())
	if err == nil {
		c.revision = revision
	}

	return err
}

func (c *ComponentState) key() (string, error) {
	name, err := c.store.Name(c.id)
	if err != nil {
		return "", err
	}

	key, err := subjects.StateKey(name, c.component)

	return key, invalid(err)
}
