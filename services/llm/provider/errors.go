package provider

import (
	"fmt"
	"strings"
	"time"
)

// Kind says what kind of failure it was.
type Kind string

// The kinds of failure. Only those marked as passing are worth a second try.
const (
	// KindKey: the provider does not accept the key, or there is none.
	KindKey Kind = "key refused"
	// KindModel: the provider does not know the model.
	KindModel Kind = "unknown model"
	// KindQuota: the account has no credit left.
	KindQuota Kind = "quota used up"
	// KindTooLong: prompt and history exceed what the model can read.
	KindTooLong Kind = "conversation too long"
	// KindRejected: the provider refuses the request for another reason, which it gives.
	KindRejected Kind = "request rejected"
	// KindRateLimited: too many requests; passing.
	KindRateLimited Kind = "rate limited"
	// KindUnavailable: the provider is overloaded or broken; passing.
	KindUnavailable Kind = "provider unavailable"
	// KindConnection: the provider can't be reached, or the connection broke; passing.
	KindConnection Kind = "connection failed"
	// KindTimeout: the provider was silent for too long.
	KindTimeout Kind = "timed out"
	// KindProtocol: the provider sent something that is not part of its published stream format.
	KindProtocol Kind = "unexpected reply"
	// KindNotAsked: the provider has failed so often, or an operator wants it, that it was not asked; see [WithBreaker].
	KindNotAsked Kind = "not asked"
)

// Error is a provider's failure to answer. Its text is one line that says what happened and what to do; it holds no key.
type Error struct {
	// Provider and Model are who was asked.
	Provider string
	Model    string
	// Kind says what happened.
	Kind Kind
	// Status is the HTTP status, or 0 when there was none.
	Status int
	// Message is what the provider or the network said, shortened and without keys; may be empty.
	Message string
	// Hint says what to do; may be empty.
	Hint string
	// RequestID is the provider's name for the failed call, for its support; may be empty.
	RequestID string
	// RetryAfter is how long the provider asks to wait; 0 when it didn't say.
	RetryAfter time.Duration
	// Partial says that part of the answer had been emitted before the failure.
	Partial bool
	// Err is the cause within this process, such as a network error; may be nil.
	Err error

	// refused: the breaker, as the failure has left it, would refuse the same request now.
	refused bool
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder

	fmt.Fprintf(&b, "%s model %q: %s", e.Provider, e.Model, e.Kind)

	if e.Partial {
		b.WriteString(" in the middle of the answer")
	}

	if e.Status != 0 {
		fmt.Fprintf(&b, " (HTTP %d)", e.Status)
	}

	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}

	if e.RequestID != "" {
		b.WriteString(" [request " + e.RequestID + "]")
	}

	if hint := e.hint(); hint != "" {
		b.WriteString("; " + hint)
	}

	return b.String()
}

func (e *Error) hint() string {
	if e.RetryAfter > 0 {
		return fmt.Sprintf("try again in %v", e.RetryAfter.Round(time.Millisecond))
	}

	return e.Hint
}

// Unwrap returns the cause within this process.
func (e *Error) Unwrap() error { return e.Err }

// Elsewhere reports whether another provider or model may do better: the failure is not about the request itself.
func (e *Error) Elsewhere() bool { return e.Kind != KindTooLong && e.Kind != KindRejected }

// Passing reports whether the same request may succeed when it is repeated.
func (e *Error) Passing() bool {
	switch e.Kind {
	case KindRateLimited, KindUnavailable, KindConnection:
		return !e.Partial && !e.refused
	default:
		return false
	}
}
