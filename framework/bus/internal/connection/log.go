// Package connection notes what becomes of a connection, for what a bus says of its own.
package connection

import (
	"strings"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// maxReason bounds the reason in bytes: it goes with every heartbeat.
const maxReason = 200

// Log knows when a connection came and went. Its methods may be called concurrently; the zero value is that of a
// connection that was never there.
type Log struct {
	mu     sync.Mutex
	closed bool
	now    bus.Connection
}

// Now returns how the connection does.
func (l *Log) Now() bus.Connection {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.now
}

// Up notes that it is there. It means nothing for one that is there already or was closed.
func (l *Log) Up() {
	l.mu.Lock()
	defer l.mu.Unlock()

	if !l.now.Up && !l.closed {
		l.now.Up, l.now.Since = true, time.Now().UTC()
	}
}

// Broke notes that it is gone and why. What comes after the first reason is its consequence and means nothing.
func (l *Log) Broke(reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if !l.now.Up {
		return
	}

	l.now.Up, l.now.Since, l.now.Reason = false, time.Now().UTC(), text(reason)
	l.now.Lost++
}

// Missing notes what the broker has lost and that can't be made again for now; nil: all is there.
func (l *Log) Missing(what error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.now.Missing = ""
	if what != nil {
		l.now.Missing = text(what)
	}
}

// Close notes that it was ended on purpose, and stays that.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()

	if l.now.Up {
		l.now.Up, l.now.Since = false, time.Now().UTC()
	}

	l.closed = true
}

// text is a reason in one line.
func text(reason error) string {
	if reason == nil {
		return "the connection broke"
	}

	line := strings.Join(strings.Fields(reason.Error()), " ")

	return strings.ToValidUTF8(line[:min(len(line), maxReason)], "")
}
