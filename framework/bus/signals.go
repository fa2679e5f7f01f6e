package bus

import "context"

// MaxSignal is the length in bytes that no signal exceeds.
const MaxSignal = 256

// Signals carries small hints about a stream between those who work on it now, such as how far a reader is. Nothing of
// it is stored: whoever sends one must be right without it, too.
type Signals interface {
	// Signal sends data to everyone who listens to the stream now, the sender included. It is delivered at most once,
	// in any order, and may be lost or repeated without notice. It does not wait for anybody, and copies data.
	//
	// Errors: [ErrTooLarge] beyond [MaxSignal], [ErrInvalid], [ErrClosed], or the connection's; then it was not sent.
	Signal(ctx context.Context, id StreamID, data []byte) error

	// Listen calls deliver for each signal about the stream until stop is called. deliver must not block; it may call
	// Signal but not stop. It is called from one goroutine at a time, and not after stop returned.
	Listen(ctx context.Context, id StreamID, deliver func(data []byte)) (stop func(), err error)
}
