// Package redisproc runs a redis-server process that can be killed, paused and started again on the same address and
// data, for tests and fault runs.
//
// File map: server.go start, end and start again; config.go the settings and the file they become; find.go where the
// program is; ping.go when the server answers.
package redisproc
