package bus

import (
	"fmt"
	"strconv"
	"strings"
)

// Cursor is where a reader is in a stream: the attempt it reads and the index of the chunk it wants next. It counts
// chunks, not a broker's positions, so it survives any crash and is valid on any bus that holds the stream.
//
// Cursors of one life of a stream's log are ordered: by attempt, then by index. The zero Cursor is the beginning of a
// stream: the oldest entry that is there.
type Cursor struct {
	// Attempt is the attempt the next chunk is expected of; 0 before anything was read. At most [MaxAttempt].
	Attempt uint32
	// Index is the index of the next chunk, counted from 0 within the stream. At most [MaxIndex].
	Index uint64
	// Life is the life of the log that the cursor is of; see [Frame].Life. A reader that begins here is refused where the
	// log has begun anew since. Empty stands for whichever life the log is in, as in cursors of older programs.
	Life string
}

// Limits of a cursor, so that it fits into one 64-bit number.
const (
	MaxAttempt = 1<<attemptBits - 1
	MaxIndex   = 1<<indexBits - 1

	attemptBits = 22
	indexBits   = 42
	cursorChars = 16
)

// Number returns the cursor as a number, without its life; of two cursors of one life the later one has the greater
// number.
func (c Cursor) Number() uint64 { return uint64(c.Attempt)<<indexBits | c.Index }

// String returns the cursor as 16 hexadecimal digits, so that text order is cursor order within a life, and the life
// behind a dash if there is one.
func (c Cursor) String() string {
	text := fmt.Sprintf("%0*x", cursorChars, c.Number())
	if c.Life == "" {
		return text
	}

	return text + "-" + c.Life
}

// Before reports whether c is earlier in the stream than d, which is of the same life.
func (c Cursor) Before(d Cursor) bool { return c.Number() < d.Number() }

// Alive reports whether c may be of a life: it is of that one, or either is unknown.
func (c Cursor) Alive(life string) bool { return c.Life == life || c.Life == "" || life == "" }

// maxLife bounds the text of a life, in bytes.
const maxLife = 64

// ValidLife reports whether a text can name a life: letters, digits and "_", at most 64 bytes. The empty text, for a
// life that is not known, can, too.
func ValidLife(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}

	return len(s) <= maxLife
}

// CursorFromNumber is the inverse of [Cursor.Number].
func CursorFromNumber(n uint64) Cursor {
	return Cursor{Attempt: uint32(n >> indexBits), Index: n & MaxIndex}
}

// ParseCursor is the inverse of [Cursor.String]. It returns [ErrInvalid] for any other text.
func ParseCursor(s string) (Cursor, error) {
	number, life, _ := strings.Cut(s, "-")
	n, err := strconv.ParseUint(number, 16, 64)
	c := CursorFromNumber(n)
	c.Life = life
	if err == nil && ValidLife(life) && c.String() == s {
		return c, nil
	}

	return Cursor{}, fmt.Errorf("cursor %.100q is not %d lower-case hexadecimal digits, or these, a dash and letters or digits: %w",
		s, cursorChars, ErrInvalid)
}
