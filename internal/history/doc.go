// Package history records what the writers and readers of a stream saw while faults were injected, and checks
// afterwards that the guarantees of the stream protocol held: order, nothing acknowledged lost, one visible answer,
// and no word from a fenced writer.
//
// A test wraps its calls: it notes each chunk before it is sent, what was acknowledged after a flush, and each event a
// reader got. When everything came to rest, [History.Check] compares the notes with each other and with the stream's
// log as the bus holds it. Writers and readers may live in any number of goroutines; those of other processes send
// their notes to whoever holds the History.
//
// File map: history.go what is noted; check.go the writers' side; readers.go the readers' side.
package history
