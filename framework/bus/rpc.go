package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"
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
	// Header holds small values for the layers between the two, bounded by [MaxHeader]. A key is one or more letters,
	// digits, '-', '_' and '.'; those that begin with "Ww-" or "Nats-", and "Status" and "Description", in any case, are
	// the bus's own. A value is any text. May be nil.
	Header map[string]string
	// Body is for the two who talk. It is bounded by [Info].MaxBody.
	Body []byte
}

const (
	// MaxHeader bounds the header of a [Message]: the bytes of all keys and values, and four for each pair.
	MaxHeader = 4 << 10
	// MaxErrorText is how many bytes of the text of a [RemoteError] reach the caller; the rest is cut off.
	MaxErrorText = 4 << 10

	headerPair   = 4
	maxErrorCode = 64
)

// Check returns nil for a message that a bus with this MaxBody carries, else [ErrTooLarge] or [ErrInvalid].
func (m *Message) Check(maxBody int) error {
	if len(m.Body) > maxBody {
		return fmt.Errorf("a body of %d bytes, of at most %d: %w", len(m.Body), maxBody, ErrTooLarge)
	}

	size := 0

	for key, value := range m.Header {
		if !ValidHeader(key) {
			return fmt.Errorf("header key %.40q: %w", key, ErrInvalid)
		}

		size += len(key) + len(value) + headerPair
	}

	if size > MaxHeader {
		return fmt.Errorf("a header of %d bytes, of at most %d: %w", size, MaxHeader, ErrTooLarge)
	}

	return nil
}

// ValidHeader reports whether a [Message] can have a header with this key.
func ValidHeader(key string) bool {
	for i := range len(key) {
		c := key[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' {
			continue
		}

		return false
	}

	low := strings.ToLower(key)

	return key != "" && low != "status" && low != "description" &&
		!strings.HasPrefix(low, "ww-") && !strings.HasPrefix(low, "nats-")
}

// RemoteError is how the serving side of a call says that it failed.
type RemoteError struct {
	// Code is for programs, in the terms that the two agreed on; at most 64 bytes of it reach the caller.
	Code string
	// Text is for people; at most [MaxErrorText] of it reaches the caller.
	Text string
}

// Error returns "code: text".
func (e *RemoteError) Error() string { return e.Code + ": " + e.Text }

// Remote returns how the caller sees the error of a handler: as a [RemoteError] that is bounded and has a code.
func Remote(err error) *RemoteError {
	remote, ok := errors.AsType[*RemoteError](err)
	if !ok {
		remote = &RemoteError{Text: err.Error()}
	}

	return &RemoteError{
		Code: cmp.Or(cut(remote.Code, maxErrorCode), CodeInternal), Text: cut(remote.Text, MaxErrorText),
	}
}

// cut returns the beginning of a text, in whole characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}

	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}

	return s[:most]
}

// CodeInternal is the code of an error that a handler returned without giving it one.
const CodeInternal = "internal"

// RPC carries requests to instances that are there now, and their replies back. Nothing of it is stored: a request
// reaches the instance at most once, and whoever gets no reply doesn't know whether it was served.
type RPC interface {
	// Call sends a request and yields the replies in the order they were sent, then ends. It waits for each as long as
	// ctx allows, so a call may take minutes. When the caller stops before the end, the context of the serving side is
	// cancelled as soon as the network tells it.
	//
	// It ends early with [ErrNoResponder] when nobody serves the endpoint (known within one round trip),
	// [ErrInterrupted] when a reply is missing, the connection of one of the two broke or the serving bus was closed in
	// between, a [*RemoteError] when the handler failed, [ErrTooLarge], [ErrInvalid], [ErrClosed], or the context's
	// error. An instance that dies without a word is not noticed: ctx ends the wait.
	Call(ctx context.Context, to Endpoint, request *Message) iter.Seq2[*Message, error]

	// Serve calls handle, in a goroutine of its own, for each request to the endpoint until stop is called; stop waits
	// for those in progress, and from then on nobody serves the endpoint. The endpoint can be called, by whoever is on
	// the same server, when Serve returns. handle must not call stop.
	//
	// The handler's context has the values of ctx, but not its end: it ends with the caller's deadline, with the
	// caller's interest as far as that is known, and when the bus is closed or its connection breaks.
	//
	// reply may be called any number of times, by one goroutine at a time and until handle returns; it copies the
	// message. It waits while the caller is too far behind, so what waits for a slow caller is bounded: at most
	// [RepliesWaiting], and none is sent while they hold [BytesWaiting]. It fails with [ErrTooLarge], [ErrInvalid], or
	// why the handler's context ended.
	//
	// The replies end when handle returns. Its error becomes a [RemoteError] at the caller, with [CodeInternal] unless it
	// is one already; after the end of the handler's context, which the caller knows of by itself, it becomes nothing.
	//
	// One endpoint is served by one process at a time; that is for the caller to see to. A bus that serves it already
	// returns [ErrInvalid].
	Serve(
		ctx context.Context, at Endpoint,
		handle func(ctx context.Context, request *Message, reply func(*Message) error) error,
	) (stop func(), err error)
}

// The bounds of what waits for a slow caller; see [RPC].
const (
	// RepliesWaiting is how many replies may wait for one call.
	RepliesWaiting = 64
	// BytesWaiting is at how many bytes of their bodies no more are sent.
	BytesWaiting = 4 << 20
)
