package bus

import (
	"context"
	"time"
)

// Clock tells the time of the broker, which all processes share, whatever their own clocks say.
type Clock interface {
	// Now returns what the broker's clock says, as exactly as half a round trip, and as its servers agree about the time.
	// It asks the broker at most once in a minute while that answers, and goes on from there by this machine's monotonic
	// clock. It fails when the broker was never asked with success: with [ErrClosed] or the context's error.
	Now(ctx context.Context) (time.Time, error)
}
