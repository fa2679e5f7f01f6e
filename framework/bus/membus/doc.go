// Package membus is the bus in memory: the whole port within one process, for tests and single-process programs.
//
// A [Broker] holds the data; each [Bus] that it opens is a connection to it, as a process of its own would have one.
// A frame is copied once when it is appended, put into its stream's log under that log's lock, and queued for every
// follower of the stream; a goroutine that lives only while the queue holds something delivers it. A letter goes into
// its mailbox and wakes the workers of its component, of which one takes the mailbox. Nothing runs in the background:
// whoever waits for a lease, a delay or the end of a key holds the timer, so an idle bus holds no goroutine, and
// everything works inside a [testing/synctest] bubble.
//
// What a Bus promises is the durability class [bus.Memory]: data lasts as long as its Broker, and is bounded by
// [Config].MaxAge and [Config].MaxBytes. A Bus that is closed lets go of nothing that it had claimed, as a process
// that crashed: its mailboxes go to others after their lease.
//
// File map: broker.go the broker and its limits; bus.go a connection; check.go what is refused before anything is
// stored; log.go and journal.go frames, follower.go their delivery; signals.go hints; rpc.go calls; mailbox.go letters,
// work.go workers, claim.go their claims; kv.go keys and watch.go watches; dead.go letters that were set aside.
package membus
