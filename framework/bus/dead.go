package bus

import (
	"context"
	"iter"
	"time"
)

// DeadLetterAge is how long a bus keeps a dead letter that nobody drops.
const DeadLetterAge = 30 * 24 * time.Hour

// DeadLetter is a letter that was set aside because its turn can't be done, with all that is needed to find out why and
// to try it again.
type DeadLetter struct {
	// Letter as it was received, but for its Position, which is where the bus keeps the dead letter; set on those that
	// came from Dead only.
	Letter

	// Reason says why the turn can't be done.
	Reason string
	// At is when it was set aside, in UTC.
	At time.Time
	// Attempts are those that failed, oldest first, as far as they are known.
	Attempts []DeadAttempt
	// Input is the beginning of what the turn was to process, at least all of it unless Truncated.
	Input []byte
	// InputType is what the input is; empty when nothing of it is kept.
	InputType DataType
	// Truncated says that Input is not the whole input.
	Truncated bool
}

// DeadAttempt is one attempt at a turn that did not succeed.
type DeadAttempt struct {
	// Attempt is its number in the turn's output, counted from 1; 0 when it is not known.
	Attempt int `json:"attempt,omitempty"`
	// Instance names the process; empty when it is not known.
	Instance string `json:"instance,omitempty"`
	// Reason says why it failed.
	Reason string `json:"reason"`
	// At is when it failed or, when its process ended without a word, began, in UTC.
	At time.Time `json:"at"`
}

// DeadLetters keeps letters that were set aside, for [DeadLetterAge].
type DeadLetters interface {
	// Bury keeps a dead letter. It returns after the bus stored it in its durability class. The same letter (the ID, in
	// the same mailbox) that is kept already stays as it is, so repeating it is harmless.
	//
	// It fails with [ErrTooLarge] when all of it together doesn't fit: keep less of the input.
	Bury(ctx context.Context, d *DeadLetter) error

	// Dead yields the dead letters of a component ("" for all components) in the order they were stored. It ends early
	// with an error.
	Dead(ctx context.Context, component string) iter.Seq2[*DeadLetter, error]

	// Buried returns the dead letter that l names by its ID, mailbox and Position, as Dead yields it. What else l says is
	// not believed. It returns [ErrNotFound] when that one is gone, also where another one is at its Position.
	Buried(ctx context.Context, l *Letter) (*DeadLetter, error)

	// Drop forgets the dead letter that d names by its ID, mailbox and Position. One that is gone already is no error;
	// another one at its Position stays.
	Drop(ctx context.Context, d *DeadLetter) error
}
