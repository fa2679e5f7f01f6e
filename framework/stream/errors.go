package stream

import (
	"errors"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Errors of writers and readers. Test for them with [errors.Is].
var (
	// ErrFenced: another execution of the same work has taken the stream over. Whoever gets this must stop: nothing it
	// sends can be stored any more.
	ErrFenced = errors.New("fenced by another attempt")
	// ErrExpired: the log no longer holds what it held before; it expired, was purged, or the bus lost it.
	ErrExpired = errors.New("the stream is no longer stored")
	// ErrSuperseded: chunks that were already yielded have been replaced by a later attempt. Start over.
	ErrSuperseded = errors.New("superseded by a later attempt")
	// ErrEnded: the stream has its final frame; see [EndedError].
	ErrEnded = errors.New("the stream has ended")
	// ErrTooLarge: a chunk is larger than [Config].MaxChunk; see [TooLargeError].
	ErrTooLarge = bus.ErrTooLarge
	// ErrBackpressure: the chunk was not taken, because the writer holds too much or is too far ahead of the readers
	// that the stream is assigned to. Try again later, or send it with Send, which waits.
	ErrBackpressure = errors.New("too far ahead")
	// ErrClosed: the reader, writer or store was closed.
	ErrClosed = errors.New("closed")
)

// TooLargeError refuses a chunk before anything of it is stored. It satisfies errors.Is for [ErrTooLarge].
type TooLargeError struct {
	// Size is the chunk's and Max the largest allowed length, in bytes.
	Size, Max int
}

// Error implements error.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("send chunk: %d bytes are more than the %d allowed", e.Size, e.Max)
}

// Unwrap returns [ErrTooLarge].
func (*TooLargeError) Unwrap() error { return ErrTooLarge }

// EndError is what a reader gets from a stream that did not complete.
type EndError struct {
	// End says how the stream ended: failed or cancelled, and why.
	End End
}

// Error implements error.
func (e *EndError) Error() string { return "the stream " + e.End.describe() }

// EndedError refuses a writer because the stream already has its final frame. It satisfies errors.Is for [ErrEnded].
type EndedError struct {
	// End says how the stream ended.
	End End
}

// Error implements error.
func (e *EndedError) Error() string { return "the stream already " + e.End.describe() }

// Unwrap returns [ErrEnded].
func (*EndedError) Unwrap() error { return ErrEnded }

// describe returns the end as the predicate of a sentence.
func (e End) describe() string {
	verb := map[bus.State]string{bus.Completed: "completed", bus.Failed: "failed", bus.Cancelled: "was cancelled"}[e.State]
	if verb == "" {
		verb = "ended as " + string(e.State)
	}
	if e.Reason == "" {
		return verb
	}

	return verb + ": " + e.Reason
}
