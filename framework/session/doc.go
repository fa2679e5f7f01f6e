// Package session holds what is known of a session as a whole, beside its streams: its record, the state that components
// keep in it, and that work in it is cancelled.
//
// A [Store] keeps a record of each session with its metadata and graph of components. The record is made by the first
// turn that is posted, changes by compare-and-set, and expires, with the components' state, when the session is not used
// any longer. A session of a tenant is known on the bus by the tenant's name and its id together, so the names of two
// tenants never meet.
//
// A cancel is a durable event in the session's control log. Whoever works on a turn of the session reads the events
// that are there when the turn begins and follows the log while it runs, so a cancel reaches every component of a
// turn, also those that begin later, and survives any crash.
//
// File map: record.go what is known; store.go keeping it; state.go what components keep; control.go writing and reading
// the control log.
package session
