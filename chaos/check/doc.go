// Package check decides whether a session's history keeps the promises of Woodwork.
//
// What goes in: the turns that were posted and acknowledged, with the answers that follow from their prompts; every
// event that every reader got; and the log of every stream as the bus holds it. What comes out: every contradiction,
// with its kind. Streams are checked one by one by package history; this package checks what makes them a session:
// that each acknowledged turn has exactly one answer, the right one, in order, one after another.
//
// What is stored has an age, and an operator may wipe it. So each reader is followed through its parts: from where it
// began, or was told that its place is gone, to where it was told again. Within a part nothing may be missing, a part
// begins no later than the oldest that was there then, and nobody is told so while the place is stored. A log that had
// gone before it could be read can't be compared; what readers saw of it is compared with the prompt. Of a turn that an
// operator took away before it was answered nothing is asked, and of every other one all.
//
// File map: session.go what goes in; violation.go what comes out; check.go readers and turns; streams.go logs;
// kept.go what may be gone, and when;
// answer.go which answer an attempt gives; undone.go what a server may have forgotten.
package check
