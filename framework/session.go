package framework

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Session is one user's conversation, as a component sees it while it works on a turn.
type Session struct {
	// ID names the session.
	ID string

	component string
	kv        bus.KV
	revision  uint64
}

// Load reads the component's own state in this session from JSON into v, and leaves v as it is when there is none. It
// remembers the state's revision for Save.
func (s *Session) Load(ctx context.Context, v any) error {
	entry, err := s.kv.Get(ctx, bus.Sessions, s.key())
	if errors.Is(err, bus.ErrNotFound) {
		s.revision = 0

		return nil
	}

	if err != nil {
		return fmt.Errorf("load state of %s in session %s: %w", s.component, s.ID, err)
	}

	if err := json.Unmarshal(entry.Value, v); err != nil {
		return fmt.Errorf("decode state of %s in session %s: %w", s.component, s.ID, err)
	}

	s.revision = entry.Revision

	return nil
}

// Save stores v as JSON in place of the state that Load saw. It returns [bus.ErrConflict] when somebody else saved
// since: load again and decide. The size of the JSON is bounded by bus.Info.MaxBody.
func (s *Session) Save(ctx context.Context, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode state of %s in session %s: %w", s.component, s.ID, err)
	}

	revision, err := s.kv.Set(ctx, bus.Sessions, s.key(), value, s.revision, 0)
	if err != nil {
		return fmt.Errorf("save state of %s in session %s: %w", s.component, s.ID, err)
	}

	s.revision = revision

	return nil
}

func (s *Session) key() string { return s.ID + "." + s.component }
