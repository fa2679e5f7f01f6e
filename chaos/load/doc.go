// Package load drives a pipeline as its users do and writes down what they see: posters that post turns over HTTP
// until they are acknowledged, and readers that follow the answers over server-sent events or on the bus.
//
// A session lives like this: its readers connect, one after another its turns are posted, never more than a few ahead
// of the answers, and when all readers saw the end of every acknowledged turn, the logs of its streams are read and
// the whole history goes to package check. Sessions follow each other until the run is over.
// A few live through all of it instead: their user cancels and interrupts turns and leaves for a while, and readers visit
// them, with cursors of any age or none. What a stream holds is read as soon as the stream has ended, because it may
// expire before the session ends.
//
// File map: load.go the sessions of a run; session.go one of them; post.go posters; cancel.go what else users do; read.go
// readers, and visit.go those that come and leave; logs.go and live.go what the bus holds and tells; wipes.go what an
// operator took away; stats.go and outcome.go figures.
package load
