// Package bus is the port to a broker: everything that Woodwork asks of NATS JetStream, Redis or memory, and nothing
// else.
//
// A bus carries the life of a message in small interfaces. A writer appends the frames of a stream to a [Log];
// readers follow the same log live and repair what they missed from it. A turn is posted to a [Mailbox], whose
// letters are worked off one after another per component and session. A [KV] keeps what must outlive a process: the
// state of a session, the instances that are there. [Signals] tell a writer how far its reader is. [RPC] asks an
// instance that is there now.
//
// The port speaks of sessions, streams, chunks and attempts, never of subjects or keys: an adapter maps them. What a
// program reads from one bus it can write to another without knowing either, because positions of a broker never
// leave its adapter and a [Cursor] counts chunks.
//
// File map: bus.go the whole port and what a bus says of itself; log.go, frame.go and cursor.go the log and its
// entries; mailbox.go letters and claims; dead.go letters that were set aside; kv.go keys and watches; signals.go hints
// that nothing stores; rpc.go requests and replies; announce.go what the broker's own
// tools are told; errors.go the outcomes every adapter shares.
package bus
