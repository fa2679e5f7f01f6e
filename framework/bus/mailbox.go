package bus

import (
	"context"
	"time"
)

// Letter is a turn in a mailbox: a unit of work for a component in a session.
type Letter struct {
	// ID names the turn; a letter posted twice with one ID is one turn. An id as package subjects defines it.
	ID string
	// Component and Session name the mailbox.
	Component string
	Session   string
	// Body is the turn as package turn encodes it.
	Body []byte
	// Trace is the W3C trace context of the poster; nil without tracing.
	Trace map[string]string
	// Deliveries counts how often the letter's mailbox was handed to a worker since the last letter was done, from 1. A
	// claim that was released before Next had returned the letter does not count; one that ended otherwise does. It is
	// set on received letters only.
	Deliveries int
	// Position is where the bus keeps the letter; set on received letters only.
	Position Position
}

// WorkConfig says how a worker takes mailboxes. The zero value works.
type WorkConfig struct {
	// Concurrency is how many mailboxes are worked on at once; those that rest don't count. Defaults to 64.
	Concurrency int
	// Lease is how long a worker may be silent before its mailboxes go to others. The bus renews it by itself while
	// the process runs. Defaults to 1.5 s.
	Lease time.Duration
}

// Mailbox delivers letters. There is one mailbox for each component and session; its letters are handed out in the
// order they were posted, to one worker at a time, at least once. Mailboxes of different sessions are independent.
type Mailbox interface {
	// Post puts a letter into its mailbox. It returns after the bus stored the letter in its durability class and made
	// sure that a worker will see it, or after [Insist] at most with [ErrUnknown]. Repeating a post after an error is
	// harmless.
	Post(ctx context.Context, l *Letter) error

	// Work takes mailboxes of a component that hold letters and calls serve for each in a goroutine of its own. When
	// ctx ends it takes no more, waits until every serve returned, and returns nil; it returns an error when it can't
	// go on. serve's context is ctx without its cancellation; it is cancelled when the claim is lost.
	Work(ctx context.Context, component string, cfg WorkConfig, serve func(ctx context.Context, c Claim)) error

	// Adopt lets the worker of a component that runs on this bus, the call of Work, go on with a claim that another worker
	// gives up. Where it has room for one more, it keeps that and calls ask for the ticket; then serve is called for the
	// claim as for one that was handed out, and Adopt returns true without waiting for it. It returns false when no worker
	// of the component runs on this bus, or when that has no room, or ends.
	//
	// Errors: those of ask; [ErrLost] when the ticket came too late; [ErrInvalid] when it is none of this bus and component.
	// The caller sees to it that a ticket is adopted once.
	Adopt(ctx context.Context, component string, ask func(ctx context.Context) (*Ticket, error)) (bool, error)

	// Peek returns the oldest letter of a mailbox that is not done, as the authority for writes sees it, or nil when
	// there is none. It claims nothing: the letter may be worked on, and be done when Peek returns. Its Deliveries is
	// not set. A letter whose Post has returned, and before it every one that is done, is seen.
	Peek(ctx context.Context, component, session string) (*Letter, error)

	// Backlog says how far the workers of a component are behind. It is meant to be asked now and again by every instance:
	// it costs the broker two small requests at most. What changes meanwhile may be in the answer or not.
	Backlog(ctx context.Context, component string) (Backlog, error)
}

// Backlog is how many mailboxes with letters wait for a worker, and for how long. One that is worked on, or that a release
// holds back, does not wait.
type Backlog struct {
	// Waiting is how many wait. A bus may leave out those that were handed out before and wait again, after a release or
	// the death of their worker; it hands those out first. It may also count one too many while all workers are busy.
	Waiting int `json:"waiting"`
	// Oldest is how long the one that waits longest could have been handed out; 0 when none waits. It is the difference of
	// two times of the broker's clock, never of a worker's; where the broker is several servers, it is as exact as these
	// agree about the time.
	Oldest time.Duration `json:"oldest_ns"`
}

// Claim is a worker's hold on one mailbox. A claim can be lost without the holder noticing at once (its process was
// paused, its connection cut), so whatever it writes must be fenced. When serve returns without having released the
// claim or emptied the mailbox, the mailbox is handed out again after the lease.
type Claim interface {
	Yielder

	// Session is the one whose mailbox it is.
	Session() string
	// Next returns the oldest letter that is not done, the same one until Done. When there is none it gives the
	// mailbox back, in one step with finding it empty, and returns nil: the claim is over.
	Next(ctx context.Context) (*Letter, error)
	// Done removes the letter that Next returned.
	Done(ctx context.Context, l *Letter) error
	// Release gives the mailbox back with its letters, to be handed out again after the delay. The claim is over.
	Release(ctx context.Context, delay time.Duration) error
}

// Yielder is the part of a [Claim] by which its holder lets others go first.
type Yielder interface {
	// Rest says that the holder only waits from now on: the claim is held and renewed as before, but takes no room of
	// [WorkConfig].Concurrency. The caller calls resume before it goes on. That reports whether there is room again, and
	// may be repeated; a claim that finds none is better released. A claim that is over needs no resume.
	Rest() (resume func() bool)
	// Give gives the claim up in favour of the worker that adopts the ticket. The claim is over. It counts as no delivery;
	// where nobody adopts the ticket in time, the mailbox is handed out again after the lease. It fails with [ErrInvalid]
	// after Next, and with [ErrLost] when the claim is over. It asks nobody.
	Give() (*Ticket, error)
}

// Ticket is a claim on its way from one worker of a component to another; see [Mailbox].Adopt.
type Ticket struct {
	// Component and Session name the mailbox.
	Component string `json:"component"`
	Session   string `json:"session"`
	// Left is how long the claim lasts, at least, from when the ticket was made.
	Left time.Duration `json:"left_ns"`
	// Data is for the bus that made it.
	Data []byte `json:"data"`
}
