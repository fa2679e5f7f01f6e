// Package bustest says what a bus promises, as tests: the conformance suite that every adapter of the port passes.
//
// An adapter's test calls [Run] with a [Harness], which opens connections to one broker, and with the [Features] that
// tell apart buses that are honestly different. Every case uses ids of its own, so all cases run at the same time on
// the one broker. They write, read and work with the port's promises alone: an append is repeated as its outcome asks
// for, and a reader trusts a live delivery only as far as the cursors fit. So the cases of logs, letters and keys run a
// second time behind [Faulty], which makes outcomes unknown and drops, repeats, delays and reorders deliveries; the
// results must be the same. Faulty also serves tests of what is built on a bus.
//
// File map: bustest.go Run and what it is given; suite.go what cases share; promises.go their names; writer.go, tail.go
// and script.go a writer, a reader and a log to be read; connection.go, log*.go, mailbox*.go, kv*.go, dead.go, signals.go,
// rpc*.go, limits.go, full.go, restart.go, hostile.go and close.go the cases; stock.go one of everything; faulty.go, live.go,
// hints.go and faultycall.go the faults. The test in buses_test.go writes docs/buses.md.
package bustest
