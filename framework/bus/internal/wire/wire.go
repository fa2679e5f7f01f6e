// Package wire is what the stored forms of a frame have in common, whichever broker stores it: which frames can be
// stored at all, and how the parts of one that are no text are written as text.
package wire

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// noChunks is how the lengths of a frame without chunks are written.
const noChunks = "none"

// CheckFrame refuses a frame that could not be read back as it is with an error that wraps [bus.ErrInvalid]. It doesn't
// look at the stream's name.
func CheckFrame(f *bus.Frame) error {
	sum := 0
	for _, n := range f.Lengths {
		if n < 0 {
			return fmt.Errorf("negative chunk length: %w", bus.ErrInvalid)
		}
		sum += n
	}
	switch {
	case sum != len(f.Body):
		return fmt.Errorf("chunks of %d bytes in a body of %d: %w", sum, len(f.Body), bus.ErrInvalid)
	case f.Attempt == 0 || f.Attempt > bus.MaxAttempt:
		return fmt.Errorf("attempt %d: %w", f.Attempt, bus.ErrInvalid)
	case f.First > bus.MaxIndex-uint64(len(f.Lengths)):
		return fmt.Errorf("chunk index %d: %w", f.First, bus.ErrInvalid)
	case f.Offset < 0 || f.Offset > math.MaxInt32:
		return fmt.Errorf("offset %d: %w", f.Offset, bus.ErrInvalid)
	case f.More && len(f.Lengths) != 1:
		return fmt.Errorf("a frame that goes on holds one chunk, not %d: %w", len(f.Lengths), bus.ErrInvalid)
	case f.After != (bus.Cursor{}) && !f.Begin:
		return fmt.Errorf("a frame that begins no attempt comes after none: %w", bus.ErrInvalid)
	case f.After.Life != "":
		return fmt.Errorf("a frame comes after one of its own life, which it names itself: %w", bus.ErrInvalid)
	case !bus.ValidLife(f.Life):
		return fmt.Errorf("life %.40q: %w", f.Life, bus.ErrInvalid)
	}

	return nil
}

// Lengths writes the lengths of a frame's chunks: "3,1,4"; "" for the most common frame, that of one chunk; "none" for
// one without.
func Lengths(lengths []int) string {
	switch len(lengths) {
	case 0:
		return noChunks
	case 1:
		return ""
	}
	buf := make([]byte, 0, 4*len(lengths))
	for i, n := range lengths {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = strconv.AppendInt(buf, int64(n), 10)
	}

	return string(buf)
}

// ParseLengths is the inverse of [Lengths] for a body of size bytes; it reports false for any other text.
func ParseLengths(s string, size int) ([]int, bool) {
	switch s {
	case "":
		return []int{size}, true
	case noChunks:
		return nil, size == 0
	}
	lengths := make([]int, 0, strings.Count(s, ",")+1)
	for {
		number, rest, some := strings.Cut(s, ",")
		n, ok := ParseUint(number, 10)
		if !ok || n > uint64(size) {
			return nil, false
		}
		lengths = append(lengths, int(n))
		size -= int(n)
		if !some {
			return lengths, size == 0 && len(lengths) > 1
		}
		s = rest
	}
}

// Meta writes small facts as a query string, keys in order.
func Meta(meta map[string]string) string {
	var b strings.Builder
	for i, key := range slices.Sorted(maps.Keys(meta)) {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(key))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(meta[key]))
	}

	return b.String()
}

// ParseMeta is the inverse of [Meta]; it reports false for text that is no query string.
func ParseMeta(s string) (map[string]string, bool) {
	meta := map[string]string{}
	for pair := range strings.SplitSeq(s, "&") {
		key, value, some := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(key)
		if err != nil || !some {
			return nil, false
		}
		if meta[key], err = url.QueryUnescape(value); err != nil {
			return nil, false
		}
	}

	return meta, true
}

// ParseUint takes a number only as it is written: no sign, no leading zeros, lower case.
func ParseUint(s string, base int) (uint64, bool) {
	n, err := strconv.ParseUint(s, base, 64)
	if err != nil || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' || s[i] == '_' {
			return 0, false
		}
	}

	return n, true
}
