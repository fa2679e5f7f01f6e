package bus

import (
	"context"
	"iter"
)

// StreamID names a stream: an ordered, durable log of chunks in one session.
// Both parts are ids as package subjects defines them; an adapter refuses others with [ErrInvalid].
type StreamID struct {
	Session string
	Stream  string
}

// String returns "session/stream" for messages.
func (id StreamID) String() string { return id.Session + "/" + id.Stream }

// Position is where a bus keeps an entry, ordered within one log of one bus for as long as that log goes on. Of a log that
// expired or was wiped and began anew nothing follows from its positions: on NATS sequences go on, unless the JetStream
// stream itself was lost, and so they do in memory; on Redis they begin again, so that an entry can have the position of
// one of the log before. It is opaque to everyone but the adapter that made it; NATS uses Minor for the sequence, Redis
// both for "<Major>-<Minor>".
type Position struct {
	Major uint64
	Minor uint64
}

// Entry is a stored frame.
type Entry struct {
	Frame

	// Position is where the bus keeps the frame.
	Position Position
	// Links are for the adapter that stored the entry, which may need them to find earlier entries or to append the
	// next one; zero where it needs none.
	Links Links
}

// Starter is a [Log] that can begin an append without waiting for its outcome, so that it needs no goroutine of its own.
type Starter interface {
	// Start begins to append f as [Log].Append does, and does not block. done is called once, with what Append would have
	// returned; possibly before Start returns, from any goroutine, which it must not block. An error says that nothing was
	// begun; done is not called then. Until done is called, f must not be changed.
	Start(f *Frame, after *Entry, done func(*Entry, error)) error
}

// Links say where earlier entries of a log are, as the adapter that stored them writes it.
type Links struct {
	// Text is the adapter's own.
	Text string
	// Last is where the entry before is, as far as that is known without a look at Text; 0 where it isn't.
	Last uint64
}

// Log stores and delivers the frames of many streams. Each stream is one log.
type Log interface {
	// Append tries once to store f as the entry after after, which is the log's last entry as the caller knows it (nil:
	// the log is empty). It returns after the bus stored the frame in its durability class, or with [ErrUnknown] after a
	// bound of its own, at most a few seconds: callers have no timer for each frame.
	//
	// Errors: [ErrConflict], [ErrBusy], [ErrUnknown], [ErrFull], [ErrTooLarge], [ErrInvalid], [ErrClosed], or the
	// context's. Two appends to one log must not be in flight at once from one process. No writer is favoured: one that
	// has to look where the log ends first, as a later attempt does, can lose to one that never pauses for as long as
	// that one goes on.
	Append(ctx context.Context, f *Frame, after *Entry) (*Entry, error)

	// Last returns the last entry of the log as the authority for writes sees it (never a lagging replica), or nil
	// when the log holds none.
	Last(ctx context.Context, id StreamID) (*Entry, error)

	// Read yields entries in log order, ending with last, which came from Last, Append or Follow. It begins at or
	// before the first entry that a reader standing at from has not seen, or with the oldest one that is there; entries
	// before that may be yielded and the reader skips them. What has expired or was deleted is left out, at the beginning
	// or in between: the reader sees the gap by itself, and what is there behind one is yielded all the same. It ends
	// early with an error, which wraps [ErrNotFound] only when last itself is gone; a bus may also yield last from memory
	// then, but nothing of another life of the log.
	Read(ctx context.Context, last *Entry, from Cursor) iter.Seq2[*Entry, error]

	// Follow calls deliver for entries that are stored from now on, until stop is called. Delivery is at most once and
	// may skip or repeat entries: the caller compares cursors and repairs gaps with Last and Read. What is stored after a
	// Last that was called when Follow had returned is skipped only when something breaks, such as a connection, a queue
	// or the log's leader, or when the bus could not make sure of it in time. A nil entry says
	// that entries may have been missed (the connection broke, or a queue overflowed). deliver must not block; it is
	// called from one goroutine at a time, and not after stop returned. An entry that is not ours or is corrupt is
	// counted and dropped, which a reader sees as a gap.
	Follow(ctx context.Context, id StreamID, deliver func(*Entry)) (stop func(), err error)
}
