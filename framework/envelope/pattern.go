package envelope

import (
	"fmt"
	"strings"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Match reports whether an event type matches a pattern: words joined by dots, of which "*" stands for any one word
// and, as the last one, for one or more; ">" is the last one only, and stands for one or more. So "component.*" and
// "component.>" match "component.started" and "component.tool.called", but not "component"; "*.started" matches
// "component.started", and "*" everything. Case matters.
func Match(pattern, eventType string) bool {
	for {
		want, restWant, more := strings.Cut(pattern, ".")
		got, rest, left := strings.Cut(eventType, ".")

		switch {
		case got == "":
			return false
		case !more && (want == "*" || want == ">"):
			return true
		case want != "*" && want != got:
			return false
		case !more || !left:
			return !more && !left
		}

		pattern, eventType = restWant, rest
	}
}

// CheckPattern returns nil for what [Match] understands, else an error that wraps [bus.ErrInvalid].
func CheckPattern(pattern string) error {
	words := strings.Split(pattern, ".")
	ok := validWords(pattern)

	for i, word := range words {
		last := i == len(words)-1
		wild := strings.ContainsAny(word, "*>")
		ok = ok && (!wild || word == "*" || word == ">" && last)
	}

	if !ok {
		return fmt.Errorf("pattern %.40q: use words joined by dots, * for one of them, > at the end: %w", pattern, bus.ErrInvalid)
	}

	return nil
}
