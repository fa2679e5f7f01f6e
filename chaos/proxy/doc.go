// Package proxy stands between a service and its server and makes the network fail: it cuts connections, delays bytes,
// and lets a link go half-open, where one side's bytes go nowhere and neither side is told.
//
// The life of a byte: a reader takes it from one side with the time at which it is due, a bounded queue holds it, and
// a writer passes it on when it is due and its direction is open. What a stalled direction held is delivered, in
// order, when the stall ends, as TCP does after a partition; a cut drops it.
//
// File map: proxy.go the listener and its faults; link.go one connection.
package proxy
