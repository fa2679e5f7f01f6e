// Package stream carries chunks from one writer to any number of readers through a [bus.Log]: durable, in order,
// fenced against writers that should be dead, and resumable by every reader at every event.
//
// The life of a chunk. [Writer.Send] copies it into a bounded window. If no append of this writer is in flight, one
// starts at once; chunks that arrive meanwhile leave together in the next frame, so the first chunk never waits and
// frames grow only under load. Each frame is appended on condition that the log still ends where the writer left it:
// that one condition gives order, exactly-once and fencing. When the bus answers that the outcome is unknown, or that
// another write came first, the writer finds out what happened (see attempt.go) and never guesses. A [Reader] listens
// to the live entries first and then reads what is stored; it puts both together by index, and whatever it misses it
// reads from the log. When an instance dies, the next [Writer] of the stream is a new attempt: its first frame says
// from which chunk on the earlier text is replaced, which readers see as an event of [KindSuperseded].
//
// Nobody waits for a reader, but for those that a stream is assigned to, which are components that work on it: their
// writer does not get further ahead than a window, asks how far they are when it waits, and hears of it by signals that
// may get lost. Such waiting goes on to whatever the writer's caller reads from.
//
// A session's timeline is a small log to which the first frame of each stream is announced, so that a [Follower]
// reads all streams of a session one after the other with one kind of cursor.
//
// File map: store.go the store and its configuration; writer.go what a writer's caller sees; flush.go frames and
// group commit; append.go one frame and every outcome it can have; attempt.go how an attempt begins; parts.go chunks
// that are larger than a frame; room.go, lead.go and hint.go how a writer waits; assigned.go and farewell.go what
// readers tell it; reader.go what a reader's caller sees; catchup.go how a reader gets from the log what
// it missed; live.go the queue of live entries; merge.go how entries become events; recheck.go how a reader that waits
// for long asks the log; shared.go logs that many write; timeline.go announcements; follow.go a whole
// session; trace.go spans; cursor.go session cursors; errors.go.
package stream
