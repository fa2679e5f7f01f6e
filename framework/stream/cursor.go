package stream

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// SessionCursor is where a follower is in a session: a position in the session's timeline and a place in the stream
// that was opened there. The zero value is the beginning of the session: the oldest stream whose beginning is there.
//
// It names the lives of the two logs that it counts in. A follower that begins at a cursor of a log that has expired or
// was wiped since, and has perhaps begun anew, fails with [ErrExpired].
type SessionCursor struct {
	// Position counts the announced streams from 1.
	Position uint64
	// Life is the life of the session's timeline. Empty, as in cursors of older programs, stands for the present one.
	Life string
	// Cursor is the place within that stream.
	Cursor bus.Cursor
}

const positionChars = 16

// String returns the cursor as two numbers of 16 hexadecimal digits with a dash between them and, behind dashes, the
// lives of the stream's log and of the timeline where they have a name. Text order is the order of the events within a life
// of the timeline.
func (c SessionCursor) String() string {
	text := fmt.Sprintf("%0*x-%v", positionChars, c.Position, c.Cursor)
	switch {
	case c.Life == "":
		return text
	case c.Cursor.Life == "":
		return text + "--" + c.Life
	default:
		return text + "-" + c.Life
	}
}

// ParseSessionCursor is the inverse of [SessionCursor.String]. The empty text is the beginning. It returns
// bus.ErrInvalid for any other text.
func ParseSessionCursor(s string) (SessionCursor, error) {
	if s == "" {
		return SessionCursor{}, nil
	}
	const most = 4
	parts := append(strings.SplitN(s, "-", most), make([]string, most)...)
	n, err := strconv.ParseUint(parts[0], 16, 64)
	if err == nil {
		var c bus.Cursor
		if c, err = bus.ParseCursor(parts[1]); err == nil {
			c.Life = parts[2]
			sc := SessionCursor{Position: n, Life: parts[3], Cursor: c}
			if bus.ValidLife(c.Life) && bus.ValidLife(sc.Life) && sc.String() == s {
				return sc, nil
			}
		}
	}

	return SessionCursor{}, fmt.Errorf(
		"session cursor %.200q is not two numbers of %d hexadecimal digits, nor these and two lives: %w",
		s, positionChars, bus.ErrInvalid)
}
