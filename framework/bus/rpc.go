package bus

import (
	"context"
	"iter"
)

// Endpoint names one instance of a component, by ids as package subjects defines them.
type Endpoint struct {
	Component string
	Instance  string
}

// String returns "component/instance" for messages.
func (e Endpoint) String() string { return e.Component + "/" + e.Instance }

// Message is what a request or a reply carries. Whoever receives one must not change it.
type Message struct {
	// Header holds small values for the layers between the two; keys are those of an HTTP header. May be nil.
	Header map[string]string
	// Body is for the two who talk. It is bounded by [Info].MaxBody.
	Body []byte
}

// RemoteError is how the serving side of a call says that it failed.
type RemoteError struct {
	// Code is for programs, in the terms that the two agreed on.
	Code string
	// Text is for people.
	Text string
}

// Error returns "code: text".
func (e *RemoteError) Error() string { return e.Code + ": " + e.Text }

// CodeInternal is the code of an error that a handler returned without giving it one.
const CodeInternal = "internal"

// RPC carries requests to instances that are there now, and their replies back. Nothing of it is stored: a request
// reaches the instance at most once, and whoever gets no reply doesn't know whether it was served.
type RPC interface {
	// Call sends a request and yields the replies in the order they were sent, then ends. It waits for each as long as
	// ctx allows, so a call may take minutes. When the caller stops before the end, the context of the serving side is
	// cancelled as soon as the network tells it.
	//
	// It ends early with [ErrNoResponder] when nobody serves the endpoint (known within one round trip), [ErrInterrupted]
	// when a reply is missing or the connection broke in between, a [*RemoteError] when the handler failed,
	// [ErrTooLarge], [ErrInvalid], [ErrClosed], or the context's error. An instance that dies without a word is not noticed: ctx ends
	// the wait.
	Call(ctx context.Context, to Endpoint, request *Message) iter.Seq2[*Message, error]

	// Serve calls handle, in a goroutine of its own, for each request to the endpoint until stop is called; stop waits
	// for those in progress. The handler's context ends with the caller's deadline, with the caller's interest, and
	// when the bus is closed; it carries nothing else of ctx. reply may be called any number of times, by one goroutine
	// at a time. The replies end when handle returns; an error becomes a [RemoteError] at the caller, with
	// [CodeInternal] unless it is one already.
	//
	// One endpoint is served by one process at a time; that is for the caller to see to.
	Serve(
		ctx context.Context, at Endpoint,
		handle func(ctx context.Context, request *Message, reply func(*Message) error) error,
	) (stop func(), err error)
}
