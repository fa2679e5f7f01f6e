package stream

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// hint is what a writer and the readers that its stream is assigned to tell each other. As text, so that operators can
// listen: "ask 250 1048576", "at 0000040000000064 speak", "free speak".
type hint struct {
	word   string
	pace   pace       // with hintAsk
	reader string     // with hintAt and hintFree
	place  bus.Cursor // with hintAt
}

const (
	// hintAsk is a writer's: say how far you are, now and after each pace from now on.
	hintAsk = "ask"
	// hintAt is a reader's: everything before this place was read by the component's present attempt.
	hintAt = "at"
	// hintFree is a reader's: the component needs no more of the stream.
	hintFree = "free"
)

// pace is how much a reader reads between two reports.
type pace struct{ chunks, bytes uint64 }

// encode returns the hint as it travels.
func (h hint) encode() []byte {
	switch h.word {
	case hintAsk:
		return fmt.Appendf(nil, "%s %d %d", h.word, h.pace.chunks, h.pace.bytes)
	case hintAt:
		return fmt.Appendf(nil, "%s %v %s", h.word, h.place, h.reader)
	default:
		return fmt.Appendf(nil, "%s %s", h.word, h.reader)
	}
}

// decodeHint is the inverse of encode. Hints of newer programs are not understood, which does no harm.
func decodeHint(data []byte) (hint, bool) {
	words := strings.Split(string(data), " ")
	h := hint{word: words[0]}
	switch {
	case h.word == hintAsk && len(words) == 3:
		chunks, err1 := strconv.ParseUint(words[1], 10, 64)
		bytes, err2 := strconv.ParseUint(words[2], 10, 64)
		h.pace = pace{chunks, bytes}

		return h, err1 == nil && err2 == nil && chunks > 0 && bytes > 0
	case h.word == hintAt && len(words) == 3:
		place, err := bus.ParseCursor(words[1])
		h.place, h.reader = place, words[2]

		return h, err == nil && h.reader != ""
	case h.word == hintFree && len(words) == 2:
		h.reader = words[1]

		return h, h.reader != ""
	default:
		return hint{}, false
	}
}
