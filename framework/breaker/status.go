package breaker

import (
	"errors"
	"fmt"
	"time"
)

// State says what a breaker does with calls.
type State string

// The states.
const (
	// Closed lets calls through.
	Closed State = "closed"
	// Open refuses calls.
	Open State = "open"
	// HalfOpen lets a few calls through, as probes.
	HalfOpen State = "half-open"
)

// Mode says who decides about the state.
type Mode string

// The modes.
const (
	// Auto leaves it to the outcomes of calls.
	Auto Mode = "auto"
	// ForceOpen refuses all calls.
	ForceOpen Mode = "open"
	// ForceClosed lets all calls through.
	ForceClosed Mode = "closed"
)

// Status is what can be seen of a breaker.
type Status struct {
	// Name is the target's.
	Name string `json:"name"`
	// State is in force since Since.
	State State     `json:"state"`
	Since time.Time `json:"since"`
	// Mode says whether an operator forced the state, and Reason why, if that was said.
	Mode   Mode   `json:"mode"`
	Reason string `json:"reason,omitempty"`
	// Failures and Successes count the outcomes that the next change depends on: of the latest calls while closed, of
	// the probes while half-open, of the calls that opened it while open.
	Failures  int `json:"failures"`
	Successes int `json:"successes"`
	// Opened is how often it has opened, and Rejected how many calls it has refused, since it was made.
	Opened   uint64 `json:"opened"`
	Rejected uint64 `json:"rejected"`
	// RetryIn is how long an open breaker will still refuse calls; 0 also where an operator decides.
	RetryIn time.Duration `json:"retry_in"`
}

// Usual reports whether there is nothing to say of the breaker: it is closed, and no operator decides.
func (s Status) Usual() bool { return s.State == Closed && s.Mode == Auto }

// Condition is the state in words, and why an operator forced it: "open (forced: the provider is moving)".
func (s Status) Condition() string {
	switch {
	case s.Mode == Auto:
		return string(s.State)
	case s.Reason == "":
		return string(s.State) + " (forced)"
	default:
		return string(s.State) + " (forced: " + s.Reason + ")"
	}
}

// Change says that a breaker's state or mode has changed.
type Change struct {
	// Name is the target's.
	Name string
	// From and To are the states before and after; the same when only the mode changed.
	From, To State
	// Mode is the one after.
	Mode Mode
	// At is when it happened.
	At time.Time
}

// ErrOpen refuses a call; nothing was sent. The error is an [*OpenError].
var ErrOpen = errors.New("the circuit breaker is open")

// OpenError says which breaker refused a call.
type OpenError struct {
	// Name is the target's.
	Name string
	// RetryIn is how long it will still refuse; 0 when probes are under way or an operator decides.
	RetryIn time.Duration
	// Forced says that an operator forced the breaker open, and Reason why, if that was said.
	Forced bool
	Reason string
}

// Error implements error.
func (e *OpenError) Error() string {
	switch {
	case e.Forced && e.Reason != "":
		return fmt.Sprintf("%s: %v: forced by an operator: %s", e.Name, ErrOpen, e.Reason)
	case e.Forced:
		return fmt.Sprintf("%s: %v: forced by an operator", e.Name, ErrOpen)
	case e.RetryIn == 0:
		return fmt.Sprintf("%s: %v", e.Name, ErrOpen)
	default:
		return fmt.Sprintf("%s: %v; it will be tried again in %v", e.Name, ErrOpen, e.RetryIn.Round(time.Millisecond))
	}
}

// Is makes every OpenError an [ErrOpen].
func (e *OpenError) Is(target error) bool { return target == ErrOpen }
