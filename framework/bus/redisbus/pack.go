package redisbus

import (
	"strconv"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

// pack writes texts one after another, each with its length before it.
func pack(texts ...string) []byte {
	size := 0
	for _, s := range texts {
		size += len(s) + len("1000:")
	}
	out := make([]byte, 0, size)
	for _, s := range texts {
		out = appendPacked(out, s)
	}

	return out
}

// appendPacked appends one text as pack does.
func appendPacked[T string | []byte](out []byte, s T) []byte {
	out = strconv.AppendInt(out, int64(len(s)), 10)
	out = append(out, ':')

	return append(out, s...)
}

// unpack is the inverse of pack; it reports false for what pack doesn't write, and for more texts than maxTexts.
func unpack(s string) ([]string, bool) {
	texts := make([]string, 0, usualTexts)
	for s != "" {
		number, rest, found := strings.Cut(s, ":")
		n, ok := wire.ParseUint(number, 10)
		if !found || !ok || n > uint64(len(rest)) || len(texts) == maxTexts {
			return nil, false
		}
		texts = append(texts, rest[:n])
		s = rest[n:]
	}

	return texts, true
}
