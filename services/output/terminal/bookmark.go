package terminal

import (
	"context"
	"errors"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// State is where a bookmark is kept; a session's state of a component is one. Load leaves v alone when there is none.
type State interface {
	Load(ctx context.Context, v any) error
	Save(ctx context.Context, v any) error
}

// Bookmark keeps how far a reader of a session has printed. It is kept on the bus and lives as long as the session
// does, so it never points into a session that is gone. A nil Bookmark keeps nothing.
type Bookmark struct {
	state State
	saved stream.SessionCursor
}

// page is what is stored of a bookmark.
type page struct {
	Cursor string `json:"cursor"`
}

// OpenBookmark returns the bookmark in state and where it stands; the zero cursor stands for the session's start.
func OpenBookmark(ctx context.Context, state State) (*Bookmark, stream.SessionCursor, error) {
	var p page
	if err := state.Load(ctx, &p); err != nil {
		return nil, stream.SessionCursor{}, fmt.Errorf("load bookmark: %w", err)
	}

	mark := &Bookmark{state: state}
	if p.Cursor == "" {
		return mark, stream.SessionCursor{}, nil
	}

	cursor, err := stream.ParseSessionCursor(p.Cursor)
	if err != nil {
		return nil, stream.SessionCursor{}, fmt.Errorf("read bookmark: %w", err)
	}

	mark.saved = cursor

	return mark, cursor, nil
}

// Save moves the bookmark to a cursor. It fails when another process moved it meanwhile.
func (b *Bookmark) Save(ctx context.Context, c stream.SessionCursor) error {
	if b == nil || c == (stream.SessionCursor{}) || c == b.saved {
		return nil
	}

	err := b.state.Save(ctx, page{Cursor: c.String()})
	if errors.Is(err, bus.ErrConflict) {
		return fmt.Errorf("save bookmark: another output reads this session under the same name; choose one with -reader: %w", err)
	}

	if err != nil {
		return fmt.Errorf("save bookmark: %w", err)
	}

	b.saved = c

	return nil
}
