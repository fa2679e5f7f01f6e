package check

import (
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// Session is what is known of a session after it came to rest.
type Session struct {
	ID string `json:"id"`
	// Turns are in the order in which they were posted; each was posted after the one before was acknowledged.
	Turns []Turn `json:"turns"`
	// Readers read the session, over any number of connections each.
	Readers []Reader `json:"readers"`
	// Logs are what the bus holds of each stream: the inputs by the turn's id, and the answers.
	Logs map[string][]*bus.Entry `json:"-"`
	// Live are the entries of each stream that the bus told of when it stored them; some may be missing. A log is read
	// from its end along what each writer saw, which leaves out what nobody should have been able to write.
	Live map[string][]*bus.Entry `json:"-"`
	// Read says when each of Logs was read. Defaults to never: a log that is missing was lost.
	Read map[string]time.Time `json:"-"`
	// Age is for how long the bus keeps what is stored. Defaults to longer than the session lives.
	Age time.Duration `json:"age,omitempty"`
	// Last is the component that answers last: when it has ended a turn, so have the others. Defaults to none.
	Last string `json:"last,omitempty"`
	// Wiped are when an operator took all streams of the session away, and Unposted when the turns that waited or ran.
	Wiped    []Window `json:"wiped,omitempty"`
	Unposted []Window `json:"unposted,omitempty"`
	// Spans are the order in which the bus told of the entries of all streams of the session, where it keeps that order
	// and where positions are ordered within one log only. Defaults to nil: positions order all logs.
	Spans map[string]Span `json:"-"`
}

// Span is the numbers, counted over a session, of the first and the last entry of a stream that the bus told of.
type Span struct{ First, Last int }

// Turn is a posted turn and what must come of it.
type Turn struct {
	ID     string `json:"id"`
	Prompt string `json:"prompt"`
	// Acked says that the poster was told that the turn is stored. One that was not may be answered or not.
	Acked bool `json:"acked"`
	// Asked and Told are when the post that was acknowledged began and when the acknowledgement came.
	Asked time.Time `json:"asked"`
	Told  time.Time `json:"told"`
	// Posted is when it was posted for the first time.
	Posted time.Time `json:"posted"`
	// Cancel is when somebody first asked to cancel it, and Cancelled when that was accepted; zero if nobody did.
	Cancel    time.Time `json:"cancel,omitzero"`
	Cancelled time.Time `json:"cancelled,omitzero"`
	// Answers are what each component must have written in the end.
	Answers map[string]Answer `json:"-"`
}

// Answer is what a component writes in a turn.
type Answer struct {
	// Chunks are the visible ones, in order.
	Chunks []string
	// Or are others that it may have written as well, such as those of another model. An attempt that mixes two answers
	// diverged.
	Or [][]string
	// State is how the stream must end. An answer that should complete may also fail, for whatever reason; that makes
	// the turn unavailable but breaks no promise.
	State bus.State
}

// Reader is one reader of a component's answers in the session.
type Reader struct {
	Name string `json:"name"`
	// Component whose answers it read.
	Component string  `json:"component"`
	Events    []Event `json:"events"`
	// Known is how many of the first events it has from another reader: it began behind the last of them, with the cursor
	// of then. They begin with the opening of a stream. Defaults to none: it began at the session's beginning.
	Known int `json:"known,omitempty"`
	// Came is when it came, if that was while the session was under way and it left before the session's end, and Until
	// is behind the last of the turns that it had to see. Default to a reader that came first and left last.
	Came  time.Time `json:"came,omitzero"`
	Until int       `json:"until,omitempty"`
}

// Event is what a reader saw, and when.
type Event struct {
	stream.SessionEvent

	At time.Time
	// Began is when the reader asked for the oldest that is there, if this is the first that it got then.
	Began time.Time `json:"began,omitzero"`
	// Gone says that this is no event: the reader was told that its place is not stored any more, and dropped all it had
	// to begin again with the oldest that is there.
	Gone bool `json:"gone,omitempty"`
}
