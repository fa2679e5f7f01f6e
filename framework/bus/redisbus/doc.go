// Package redisbus is the bus on Redis: each stream of a session is one Redis stream, delivered to any number of readers
// over one connection per process.
//
// The life of a frame: Append runs a script that compares the last entry of the log with the one the caller knows,
// stores the frame behind it and publishes it, in one step, so that of two writers only one gets on, and order, fencing
// and exactly-once come from one mechanism. An entry's id is made of its attempt and index, so that a reader that missed
// something seeks to where it stands. Follow hears of stored frames by pub/sub through the hub, which holds the one
// subscribed connection of the process; a hub that had to reconnect tells all readers to look at the log.
//
// Positions are ids of entries: Major is the attempt, Minor the index of the first chunk and a count of the frames that
// begin there.
//
// The life of a turn: Post runs a script that appends a letter to its mailbox and notes that the mailbox is due. A worker
// is told, takes what is due for as long as a lease, and renews that. Next, Done and Release are scripts that compare
// the claim's token first. Every script of a component works on keys of one hash tag, so none is ever half done.
//
// Redis replicates asynchronously: a failover loses what the replica did not have yet, so the bus never reports more
// than what one server keeps.
//
// File map: config.go, url.go, tls.go, connect.go, check.go, durability.go and open.go open the bus, dialerror.go says
// why they could not; script.go and errors.go talk to the server, contact.go knows whether it
// answers, and life.go whether it has lost its data; hub.go and
// topic.go are pub/sub; codec.go, fields.go, position.go and pack.go are the stored form of a frame; append.go,
// appender.go, read.go and follow.go are the log; signals.go hints that nothing stores; rpc*.go requests and replies;
// mailbox.go, mailbox_work.go, mailbox_lease.go, mailbox_claim.go and mailbox_adopt.go are mailboxes and
// mailbox_letter.go the stored form of a letter; dead.go letters that were set aside; kv.go and watch.go keys;
// scripts.go and *.lua the steps of all these; retry.go repeats; counts.go what could not be read.
package redisbus
