// Package subjects names everything that Woodwork keeps in a broker: it builds, parses and checks the subjects, and
// the names of JetStream streams, buckets and consumers. No other package spells one out.
//
// A message meets the names in this order. A foreign id, such as a user name or a chat's address, becomes an id by
// [Encode], once, where it enters. A turn is posted to the inbox of a component and session ([Namespace.Inbox]), and
// its mailbox is scheduled ([Namespace.Ready]). The answer's stream gets an id that every attempt finds again
// ([Derive]). Its frames are appended under [Namespace.Log], on the shard of the session ([Namespace.Shard]), and
// readers hear them under [Namespace.Live]; one that a writer waits for says how far it is by
// [Namespace.Signal]. What can't be done ends in [Namespace.Dead]; a cancel comes by [Namespace.Control]. What one
// instance asks of another goes by [Namespace.Call]. An adapter that receives a message asks [Parse] what it is about.
//
// The grammar:
//
//	ww.<app>.log.<shard>.<session>.<stream>    frames, stored
//	ww.<app>.live.<shard>.<session>.<stream>   the same frames, republished to readers
//	ww.<app>.sig.<shard>.<session>.<stream>    how far the stream's readers are; not stored
//	ww.<app>.inbox.<component>.<session>       turns
//	ww.<app>.ready.<component>.<session>       whether a mailbox is scheduled
//	ww.<app>.dead.<component>.<session>.<turn> turns that were set aside
//	ww.<app>.call.<component>.<instance>       requests to one instance; not stored
//	ww.<app>.ctl.<session>                     commands to whoever works on the session
//
// A session, stream, component or instance is an id: 1 to 64 of the letters A-Z and a-z, digits, '-' and '_'. Ids that begin
// with '_' are Woodwork's own ([Reserved]). An application is 1 to 32 lower-case letters, digits and '-'. With these
// limits the longest subject has 235 bytes, of [MaxSubject] allowed. A server takes wildcards and over-long tokens in
// a published subject without complaint, so this package is where they are refused.
//
// File map: id.go what an id is; encode.go foreign and derived ids; namespace.go an application, its shards and the
// broker's names; build.go subjects and wildcards; parse.go the way back.
package subjects
