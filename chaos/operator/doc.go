// Package operator does to a run's server what an operator may do by hand: it says for how long logs are kept, and it
// takes stored data away.
//
// It speaks to the server directly, with a few lines of its protocol, because what it does is nothing that Woodwork
// offers; and it tries until the server answers, because faults take the server away as well.
//
// File map: operator.go what both servers have in common; nats.go and natswire.go, redis.go and rediswire.go each of them.
package operator
