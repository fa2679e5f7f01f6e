package check

import (
	"bytes"
	"slices"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// by returns the answer that an attempt gave, or began: the first one of which it wrote a part; Chunks if it wrote none.
// The attempt is the one that log begins with.
func (a *Answer) by(log []*bus.Entry) []string {
	if len(a.Or) == 0 || len(log) == 0 {
		return a.Chunks
	}
	first, wrote := int(log[0].First), log[0].Body
	for _, e := range log[1:] {
		if e.Begin {
			break
		}
		wrote = slices.Concat(wrote, e.Body)
	}
	for _, chunks := range append([][]string{a.Chunks}, a.Or...) {
		rest := strings.Join(chunks[min(first, len(chunks)):], "")
		if bytes.HasPrefix([]byte(rest), wrote) {
			return chunks
		}
	}

	return a.Chunks
}

// Whole reports whether chunks are exactly one of the answers.
func (a *Answer) Whole(chunks []string) bool {
	return slices.Equal(chunks, a.Chunks) || slices.ContainsFunc(a.Or, func(or []string) bool { return slices.Equal(chunks, or) })
}

// begins reports whether chunks are the beginning of one of the answers.
func (a *Answer) begins(chunks []string) bool {
	begins := func(of []string) bool { return len(chunks) <= len(of) && slices.Equal(chunks, of[:len(chunks)]) }

	return begins(a.Chunks) || slices.ContainsFunc(a.Or, begins)
}

// visible returns the chunks that a log leaves a reader with.
func visible(log []*bus.Entry) []string {
	var chunks []string
	for _, e := range log {
		if e.Begin {
			chunks = chunks[:min(int(e.First), len(chunks))]
		}
		body := e.Body
		for i, n := range e.Lengths {
			if piece := string(body[:n]); i == 0 && e.Offset > 0 {
				chunks[len(chunks)-1] += piece
			} else {
				chunks = append(chunks, piece)
			}
			body = body[n:]
		}
	}

	return chunks
}

// begin returns where a log's last attempt begins.
func begin(log []*bus.Entry) int {
	for i, e := range slices.Backward(log) {
		if e.Begin {
			return i
		}
	}

	return 0
}
