package bus

import (
	"errors"
	"fmt"
)

// Outcomes that every adapter reports alike. Test for them with [errors.Is].
var (
	// ErrConflict: the condition of an append or update did not hold; nothing was stored by this call. For an append
	// it may also mean that an earlier try of the same frame was stored: ask [Log].Last.
	ErrConflict = errors.New("another write came first")
	// ErrBusy: another write to the same log is still being decided; nothing was stored. Back off 2 to 10 ms with
	// jitter and try again: it is not a verdict.
	ErrBusy = errors.New("another write is being decided")
	// ErrUnknown: the call timed out or the connection broke; it may have been stored or not. Repeat it unchanged.
	ErrUnknown = errors.New("outcome unknown")
	// ErrFull: the broker refuses to store more for now; nothing was stored.
	ErrFull = errors.New("the bus is full")
	// ErrTooLarge: the entry exceeds [Info].MaxBody; nothing was sent.
	ErrTooLarge = errors.New("too large for the bus")
	// ErrNotFound: there is no such key.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: an id, key or value can't be used; nothing was sent.
	ErrInvalid = errors.New("invalid")
	// ErrClosed: the bus was closed.
	ErrClosed = errors.New("the bus is closed")
	// ErrLost: the claim on a mailbox was taken over by another worker.
	ErrLost = errors.New("the claim was taken over")
	// ErrNoResponder: nobody serves the endpoint that was called; nothing was done.
	ErrNoResponder = errors.New("nobody serves this endpoint")
	// ErrInterrupted: a reply is missing or the connection broke before the last one; the request may have been served.
	ErrInterrupted = errors.New("the replies were interrupted")
	// ErrUnsupported: a frame was written by a newer protocol version than this program reads.
	ErrUnsupported = errors.New("protocol version not supported")
	// ErrCorrupt: an entry's checksum or headers don't fit its body.
	ErrCorrupt = errors.New("corrupt entry")
)

// DialError says why a bus could not be opened. It satisfies [errors.Unwrap].
type DialError struct {
	// URL is where the broker should be, without credentials.
	URL string
	// Hint says what the user can do, or is empty.
	Hint string
	// Err is the reason.
	Err error
}

// Error implements error: the URL, the reason, and what to do, on one line.
func (e *DialError) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("open bus %s: %v", e.URL, e.Err)
	}

	return fmt.Sprintf("open bus %s: %v; %s", e.URL, e.Err, e.Hint)
}

// Unwrap returns the reason.
func (e *DialError) Unwrap() error { return e.Err }
