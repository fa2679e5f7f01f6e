// Package session holds what happens to a session as a whole, beside its streams: so far, that work in it is cancelled.
//
// A cancel is a durable event in the session's control log. Whoever works on a turn of the session reads the events
// that are there when the turn begins and follows the log while it runs, so a cancel reaches every component of a
// turn, also those that begin later, and survives any crash.
//
// File map: control.go writing and reading the control log.
package session
