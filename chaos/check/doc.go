// Package check decides whether a session's history keeps the promises of Woodwork.
//
// What goes in: the turns that were posted and acknowledged, with the answers that follow from their prompts; every
// event that every reader got; and the log of every stream as the bus holds it. What comes out: every contradiction,
// with its kind. Streams are checked one by one by package history; this package checks what makes them a session:
// that each acknowledged turn has exactly one answer, the right one, in order, one after another.
//
// File map: session.go what goes in; violation.go what comes out; check.go readers and turns; streams.go logs;
// answer.go which answer an attempt gives; undone.go what a server may have forgotten.
package check
