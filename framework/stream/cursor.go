package stream

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// SessionCursor is where a follower is in a session: a position in the session's timeline and a place in the stream
// that was opened there. The zero value is the beginning of the session.
type SessionCursor struct {
	// Position counts the announced streams from 1.
	Position uint64
	// Cursor is the place within that stream.
	Cursor bus.Cursor
}

const positionChars = 16

// String returns the cursor as two numbers of 16 hexadecimal digits with a dash between them. Text order is the order
// of the events.
func (c SessionCursor) String() string {
	return fmt.Sprintf("%0*x-%v", positionChars, c.Position, c.Cursor)
}

// ParseSessionCursor is the inverse of [SessionCursor.String]. The empty text is the beginning. It returns
// bus.ErrInvalid for any other text.
func ParseSessionCursor(s string) (SessionCursor, error) {
	if s == "" {
		return SessionCursor{}, nil
	}
	position, place, _ := strings.Cut(s, "-")
	n, err := strconv.ParseUint(position, 16, 64)
	if err == nil {
		var c bus.Cursor
		if c, err = bus.ParseCursor(place); err == nil {
			if sc := (SessionCursor{Position: n, Cursor: c}); sc.String() == s {
				return sc, nil
			}
		}
	}

	return SessionCursor{}, fmt.Errorf("session cursor %.40q is not two numbers of %d hexadecimal digits: %w",
		s, positionChars, bus.ErrInvalid)
}
