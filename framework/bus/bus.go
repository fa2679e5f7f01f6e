package bus

import (
	"context"
	"time"
)

// Bus is one connection to a broker with all that Woodwork needs of it.
//
// All methods of all parts may be called concurrently. Opening a bus fails when the broker can't be reached: nothing
// ever falls back to another bus.
//
// A call that has one outcome tries again while the broker can't be reached or has no leader, as long as its context
// allows and the bus is open, but for no longer than [Insist]: then it fails with [ErrUnknown]. So a context that never
// ends keeps nobody for ever. Calls that go on until they are ended, such as Work and Watch, outlast every outage.
type Bus interface { //nolint:interfacebloat // it is the sum of small ones
	Log
	Mailbox
	KV
	Signals
	DeadLetters
	RPC
	Clock

	// Info says which bus this is and what it promises.
	Info() Info
	// Connection says how the connection to the broker does. It waits for nothing.
	Connection() Connection
	// Close ends the connection after what was sent has left the process. It is idempotent. Calls in progress and
	// later ones fail with [ErrClosed].
	Close(ctx context.Context) error
}

// Insist is for how long a call tries again at most.
const Insist = 30 * time.Second

// Ender is a [Bus] that can end for good without having been closed, such as one whose broker revoked its access. A
// process has nothing left to do then and ends with the reason.
type Ender interface {
	// Done is closed when the bus has ended or was closed.
	Done() <-chan struct{}
	// Err says why it ended; nil before.
	Err() error
}

// Info describes an open bus for the start-up line, health checks and tests.
type Info struct {
	// Kind is the adapter's name: "nats", "redis" or "memory".
	Kind string
	// URL is where the broker is, without credentials.
	URL string
	// Durability is what an acknowledged append survives.
	Durability Durability
	// MaxBody is the largest body of a frame or letter in bytes that the broker accepts. It is that of now: a broker may
	// accept less after the connection was restored, and refuses with [ErrTooLarge] what was made before.
	MaxBody int
	// Retention is for how long the bus keeps what is appended to a log, at least; 0 is for ever.
	Retention time.Duration
}

// Connection is how the connection of a bus to its broker does, as far as this process has noticed: a broker that falls
// silent is noticed after 15 seconds at most.
type Connection struct {
	// Up says that it is there; that of a closed bus is not.
	Up bool `json:"up"`
	// Since is when it came or went last, by the clock of this process, in UTC.
	Since time.Time `json:"since"`
	// Lost is how often it broke since the bus was opened.
	Lost uint64 `json:"lost"`
	// Reason says in one line why it broke last; empty when it never did.
	Reason string `json:"reason,omitempty"`
	// Missing says in one line what the broker has lost of what it keeps for the application, such as a JetStream stream
	// that was deleted, and why it could not be made again yet; empty when all is there, as far as is known.
	Missing string `json:"missing,omitempty"`
}

// Durability says what an acknowledged append survives. The zero value promises nothing.
type Durability string

// The durability classes, weakest first.
const (
	// Memory lasts as long as the process that holds the data.
	Memory Durability = "Memory"
	// Local is one server with a file: it survives kill -9 of the server, not the loss of its machine. On Redis with
	// appendfsync everysec a kill can undo the last two seconds, when it comes while the file is being synced.
	Local Durability = "Local"
	// LocalSynced is Local with a sync to disk before each acknowledgement: it survives the loss of power.
	LocalSynced Durability = "Local-synced"
	// Fast is replicated with periodic syncs: it survives the loss of one node.
	Fast Durability = "Fast"
	// Replicated is replicated and synced: it survives the loss of power on all nodes.
	Replicated Durability = "Replicated"
)
