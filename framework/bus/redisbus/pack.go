package redisbus

import (
	"strconv"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus/internal/wire"
)

// pack writes texts one after another, each with its length before it, as the script of an append does for live frames.
func pack(texts ...string) []byte {
	size := 0
	for _, s := range texts {
		size += len(s) + len("1000:")
	}
	out := make([]byte, 0, size)
	for _, s := range texts {
		out = strconv.AppendInt(out, int64(len(s)), 10)
		out = append(out, ':')
		out = append(out, s...)
	}

	return out
}

// unpack is the inverse of pack; it reports false for what pack doesn't write, and for more texts than most.
func unpack(s string, most int) ([]string, bool) {
	texts := make([]string, 0, min(most, 32))
	for s != "" {
		number, rest, found := strings.Cut(s, ":")
		n, ok := wire.ParseUint(number, 10)
		if !found || !ok || n > uint64(len(rest)) || len(texts) == most {
			return nil, false
		}
		texts = append(texts, rest[:n])
		s = rest[n:]
	}

	return texts, true
}
