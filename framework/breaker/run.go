package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrTimeout is the cause of a call's context that took longer than Config.Timeout.
var ErrTimeout = errors.New("the call took too long")

// Run executes a call to the breaker's target within Config.Timeout. A call that returns an error is a failure of the
// target, unless ctx ended before. Where the call is not permitted or fails, fallback answers with the reason in hand,
// unless it is nil or ctx has ended; then Run returns the reason.
func Run[T any](
	ctx context.Context, b *Breaker, call func(ctx context.Context) (T, error),
	fallback func(ctx context.Context, reason error) (T, error),
) (T, error) {
	result, err := guarded(ctx, b, call)
	if err == nil || fallback == nil || ctx.Err() != nil {
		return result, err
	}

	return fallback(ctx, err)
}

func guarded[T any](ctx context.Context, b *Breaker, call func(ctx context.Context) (T, error)) (T, error) {
	permit, err := b.Allow()
	if err != nil {
		var none T

		return none, err
	}

	defer permit.Done(Failure) // unless one is reported before; a panic is a failure, too

	inner, cancel := bound(ctx, b.cfg.Timeout)
	defer cancel()

	result, err := call(inner)

	switch {
	case err == nil:
		permit.Done(Success)
	case ctx.Err() != nil:
		permit.Done(Ignored)
	case inner.Err() != nil:
		err = fmt.Errorf("%s: %w within %v", b.name, ErrTimeout, b.cfg.Timeout)
	}

	return result, err
}

func bound(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d < 0 {
		return context.WithCancel(ctx)
	}

	return context.WithTimeoutCause(ctx, d, ErrTimeout)
}
