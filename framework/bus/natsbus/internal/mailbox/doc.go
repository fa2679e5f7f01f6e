// Package mailbox is the protocol by which letters reach a worker without an orchestrator: pure decisions over four
// primitive operations on the logs of one mailbox, so that every interleaving of them can be explored in a test.
//
// A mailbox is two logs in one total order. The inbox holds the letters that are not done. The register says whether
// a worker has been called: its last entry is "scheduled" or "idle", and no entry at all means idle.
//
// The life of a letter: [Mailbox.Post] appends it on condition that the register is what the poster took it for. On a
// scheduled register that is all, for a register can't become idle while its inbox holds a letter. On an idle one the
// poster then appends "scheduled", fenced on the idle entry. The broker delivers each scheduled entry to one worker at
// a time, until it is acknowledged. The worker opens a [Claim] on it, takes letter after letter with Next and removes
// each with Done. When the inbox looks empty it appends "idle" on condition that the inbox is empty; a refusal means
// that there is more work.
//
// No read is trusted. Decisions rest on accepted appends and on the order of entries, which never changes: an entry
// that was read exists, so everything before it is superseded, whatever a lagging replica left out after it. A
// refused append is treated as a read too, for a deposed leader may refuse by what it remembers.
//
// Entries leave the register from the bottom only, each after it was superseded, and an idle entry leaves only as the
// last one. So removing never uncovers an older state, and a mailbox at rest occupies nothing.
//
// An append whose outcome stayed unknown may happen later, at any moment at which its condition holds. Only that of "idle"
// can hold again, whenever the inbox is empty. So before a claim hands out a letter that came after it began, it makes sure
// that its entry is still on top of the register.
//
// What the protocol can't exclude is a second worker that runs beside the first after a lease passed unnoticed. Both
// are then at the same letters, and the fence on the output decides whose work counts.
//
// File map: store.go (the primitives), post.go, claim.go (a worker's side), register.go (supersession and cleaning),
// revive.go (mailboxes to which nobody will be called).
package mailbox
