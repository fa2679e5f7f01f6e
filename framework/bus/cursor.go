package bus

import (
	"fmt"
	"strconv"
)

// Cursor is where a reader is in a stream: the attempt it reads and the index of the chunk it wants next. It counts
// chunks, not a broker's positions, so it survives any crash and is valid on any bus that holds the stream.
//
// Cursors of one stream are ordered: by attempt, then by index. The zero Cursor is the beginning of a stream.
type Cursor struct {
	// Attempt is the attempt the next chunk is expected of; 0 before anything was read. At most [MaxAttempt].
	Attempt uint32
	// Index is the index of the next chunk, counted from 0 within the stream. At most [MaxIndex].
	Index uint64
}

// Limits of a cursor, so that it fits into one 64-bit number.
const (
	MaxAttempt = 1<<attemptBits - 1
	MaxIndex   = 1<<indexBits - 1

	attemptBits = 22
	indexBits   = 42
	cursorChars = 16
)

// Number returns the cursor as a number; of two cursors of a stream the later one has the greater number.
func (c Cursor) Number() uint64 { return uint64(c.Attempt)<<indexBits | c.Index }

// String returns the cursor as 16 hexadecimal digits, so that text order is cursor order.
func (c Cursor) String() string { return fmt.Sprintf("%0*x", cursorChars, c.Number()) }

// Before reports whether c is earlier in the stream than d.
func (c Cursor) Before(d Cursor) bool { return c.Number() < d.Number() }

// CursorFromNumber is the inverse of [Cursor.Number].
func CursorFromNumber(n uint64) Cursor {
	return Cursor{Attempt: uint32(n >> indexBits), Index: n & MaxIndex}
}

// ParseCursor is the inverse of [Cursor.String]. It returns [ErrInvalid] for any other text.
func ParseCursor(s string) (Cursor, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	if c := CursorFromNumber(n); err == nil && c.String() == s {
		return c, nil
	}

	return Cursor{}, fmt.Errorf("cursor %.40q is not %d lower-case hexadecimal digits: %w", s, cursorChars, ErrInvalid)
}
