// Package envelope carries messages between services that speak in events rather than in streams: what is published
// reaches everyone who subscribed to its type, and what is sent to a component waits there until it is handled.
//
// A [Message] says what happened (EventType), in which session, from whom and to whom. Published, it is appended to the
// log of its session and to the one of the application, from which subscribers read it in order; a subscriber with a
// name goes on where it was after any crash. Sent, it is a letter in the mailbox of its target and session, is tried
// again when its handler fails, and ends as a dead letter when that doesn't help or its time is over. Whatever can't be
// done is an error; nothing is dropped without one.
//
// The package uses the bus through its port only, so it runs on every bus. It reads both JSON shapes that Woodwork's
// Python side has used and writes either.
//
// File map: message.go the message, json.go its JSON; pattern.go which events a pattern matches; bus.go the bus of
// messages; once.go messages that are published once; subscribe.go subscriptions; direct.go messages to a component;
// tried.go how often one was tried; dead.go dead letters; stats.go counts and health.
package envelope
