// Package affinity lets a session's turns prefer the instance that served the session last, for components that keep
// something of it in memory, such as a model's cache.
//
// A broker hands a mailbox to whichever worker asks first. A [Bus] looks who served that session last, which is one key
// beside the session's state. If it was another instance, the one that got the mailbox offers it: the other one, if it is
// there and has room, takes the claim over and serves it as if it had been handed out there. If not, whoever has the
// mailbox serves it, and is the one who served last from then on.
//
// It is a preference, never a promise: nobody waits for an instance that is gone, full, or silent. The claim changes hands
// in one step at the instance that gives it, so no turn is executed by both, and a claim that gets lost on its way is
// handed out again after its lease.
//
// File map: affinity.go the bus and its worker; offer.go how a claim changes hands; served.go who served last.
package affinity
