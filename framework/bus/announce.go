package bus

import (
	"context"
	"encoding/json"
	"time"
)

// Announcer is a [Bus] whose broker has tools of its own that show which services are there. A bus without such tools
// is none; nothing of Woodwork depends on it.
type Announcer interface {
	// Announce shows an instance to the broker's tools until stop is called or the bus ends. stop is idempotent and waits
	// until nobody is answered any more; a.Work must not call it.
	//
	// Errors: [ErrInvalid], [ErrClosed], or the connection's. A broker that does not allow it may say so only in the log.
	Announce(ctx context.Context, a Announcement) (stop func(), err error)
}

// Announcement is what the broker's tools show of an instance.
type Announcement struct {
	// At is the instance. Required.
	At Endpoint
	// Version of its program. Defaults to none.
	Version string
	// Description is for people. Defaults to none.
	Description string
	// Metadata is what else there is to know of it, and does not change. Defaults to none.
	Metadata map[string]string
	// Started is when the instance started.
	Started time.Time
	// Work is asked for the counters whenever a tool asks, and must not block. Defaults to none.
	Work func() []Work
}

// Work counts what an instance has done of one kind.
type Work struct {
	// Kind is what it has done.
	Kind WorkKind
	// Done is how much of it, and Failed how much of that failed.
	Done, Failed uint64
	// Busy is how long it took together.
	Busy time.Duration
	// Data is a JSON value with what else there is to know at this moment. Defaults to none.
	Data json.RawMessage
}

// WorkKind is a kind of work.
type WorkKind string

// The kinds of work.
const (
	// WorkTurns are attempts of turns.
	WorkTurns WorkKind = "turns"
	// WorkCalls are requests of other components.
	WorkCalls WorkKind = "calls"
)
