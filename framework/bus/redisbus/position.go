package redisbus

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

// An entry's id is "<attempt>-<minor>". The minor part is the index of the frame's first chunk, and in its lowest bits
// how many frames of the attempt began there before: frames without chunks and parts of a chunk share an index. So ids
// are in log order, and where a cursor stands in a log is found by its id.
const (
	repeatBits = 16
	maxRepeat  = 1<<repeatBits - 1
)

// place returns where a frame goes behind after. For one that goes back in its log that is where it would be without
// after: the server refuses it there. It fails with [bus.ErrTooLarge] when too many frames begin at one index.
func place(f *bus.Frame, after *bus.Entry) (bus.Position, error) {
	p := bus.Position{Major: uint64(f.Attempt), Minor: f.First << repeatBits}
	if after == nil || after.Position.Major != p.Major || after.Position.Minor>>repeatBits != f.First {
		return p, nil
	}
	if after.Position.Minor&maxRepeat == maxRepeat {
		return p, fmt.Errorf("%d frames begin at index %d: %w", maxRepeat+1, f.First, bus.ErrTooLarge)
	}
	p.Minor = after.Position.Minor + 1

	return p, nil
}

// goesBack reports whether a position is not behind an entry.
func goesBack(p bus.Position, after *bus.Entry) bool {
	if after == nil {
		return false
	}
	q := after.Position

	return p.Major < q.Major || p.Major == q.Major && p.Minor <= q.Minor
}

// entryID writes a position as Redis does.
func entryID(p bus.Position) string {
	return strconv.FormatUint(p.Major, 10) + "-" + strconv.FormatUint(p.Minor, 10)
}

// parseEntryID is the inverse of entryID; it reports false for what can't be the position of a frame.
func parseEntryID(s string) (bus.Position, bool) {
	major, minor, _ := strings.Cut(s, "-")
	m, ok := wire.ParseUint(major, 10)
	n, okMinor := wire.ParseUint(minor, 10)

	return bus.Position{Major: m, Minor: n}, ok && okMinor && m > 0 && m <= bus.MaxAttempt && n>>repeatBits <= bus.MaxIndex
}

// minorAt returns the second part of the id of the first frame that begins at a cursor, if there is one. The frame that
// holds the cursor's chunk has this id or one before it.
func minorAt(c bus.Cursor) string { return strconv.FormatUint(c.Index<<repeatBits, 10) }
