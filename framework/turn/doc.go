// Package turn runs the turns of a component: it takes letters from mailboxes, opens the streams of each turn, calls
// the handler, and lets the returned error decide what becomes of the turn.
//
// A turn is posted as a letter that names its input stream. A worker claims the mailbox, opens the turn's output
// stream as the next attempt, and hands both streams to the handler. The output's final frame is what marks a turn as
// done: a letter that is delivered again after that is recognised by it and dropped. Only then does the letter leave
// the mailbox and the session's next turn begin.
//
// A turn that can't be done is set aside as a dead letter before its output ends as failed, and its session goes on.
// A log in each session says which executions failed, so that it is known on every instance how often a turn was tried.
//
// File map: record.go what a letter says; worker.go mailboxes and letters; attempt.go one execution of one turn and
// input.go its input; fate.go from the returned error to the turn's fate; pause.go waiting for the next attempt; outputs.go
// the output streams of an attempt and orphans.go those of earlier ones; expired.go inputs that are no longer stored;
// cancel.go what is cancelled, limits.go what takes too long and leave.go what is not read any more; failures.go which
// executions failed; dead.go what counts as an attempt, and burying; unreadable.go letters that can't be decoded; replay.go
// trying again; trace.go spans.
package turn
