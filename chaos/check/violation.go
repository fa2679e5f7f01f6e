package check

import (
	"errors"
	"fmt"
	"strings"

	"github.com/woodwork-go/woodwork/internal/history"
)

// Kind is what a violation means.
type Kind string

// The kinds of violations.
const (
	// Lost: something acknowledged or stored did not come.
	Lost Kind = "lost"
	// Duplicated: something came again.
	Duplicated Kind = "duplicated"
	// Disordered: something came where it does not belong.
	Disordered Kind = "out of order"
	// Overlap: two turns of one component ran at once in a session.
	Overlap Kind = "two turns at once"
	// Zombie: an attempt wrote after its successor, or beside it.
	Zombie Kind = "zombie appends accepted"
	// Diverged: a text is not the one that it must be.
	Diverged Kind = "diverged"
	// Unfounded: a reader was told that its place is gone, and it is stored.
	Unfounded Kind = "told gone without cause"
	// Ignored: a turn went on although its cancel had been accepted.
	Ignored Kind = "cancels ignored"
	// Stuck: an acknowledged turn has no end after everything came to rest.
	Stuck Kind = "stuck turns"
)

// Kinds lists all kinds in the order of a report.
func Kinds() []Kind {
	return []Kind{Lost, Duplicated, Disordered, Overlap, Zombie, Diverged, Unfounded, Ignored, Stuck}
}

// Violation is one contradiction.
type Violation struct {
	Kind    Kind   `json:"kind"`
	Session string `json:"session"`
	Turn    string `json:"turn,omitempty"`
	// Reader is who saw it, if only that one may have.
	Reader string `json:"reader,omitempty"`
	Text   string `json:"text"`
}

// String returns the violation on one line.
func (v Violation) String() string {
	return fmt.Sprintf("%s: session %s, turn %s: %s", v.Kind, v.Session, v.Turn, strings.ReplaceAll(v.Text, "\n", "; "))
}

// kindOf maps what package history says of a stream.
func kindOf(err error) Kind {
	for target, kind := range map[error]Kind{
		history.ErrLost:       Lost,
		history.ErrDuplicated: Duplicated,
		history.ErrDisordered: Disordered,
		history.ErrZombie:     Zombie,
		history.ErrUnfinished: Stuck,
	} {
		if errors.Is(err, target) {
			return kind
		}
	}

	return Diverged
}
