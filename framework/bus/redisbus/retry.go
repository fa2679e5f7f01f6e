package redisbus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Bounds of a back-off.
const (
	backoffMin  = 2 * time.Millisecond
	backoffSpan = 8 * time.Millisecond
	backoffMax  = 250 * time.Millisecond
)

// backoff waits before try attempt+1: 2 to 10 ms with jitter, doubling with each attempt from the fourth. It returns
// the context's error when that ends first.
func backoff(ctx context.Context, attempt int) error {
	wait := backoffMin + rand.N(backoffSpan)
	if attempt > 3 {
		wait = min(wait<<min(attempt-3, 10), backoffMax)
	}

	if !pause(ctx, wait) {
		return ctx.Err()
	}

	return nil
}

// passing reports whether an error may be gone at the next try.
func passing(err error) bool {
	return errors.Is(err, bus.ErrUnknown) || errors.Is(err, bus.ErrBusy) || errors.Is(err, bus.ErrFull)
}

// insist repeats a call that may be repeated while its outcome is unknown; see [bus.Bus].
func (b *Bus) insist(ctx context.Context, call func() error) error {
	begun := time.Now()

	for attempt := 0; ; attempt++ {
		err := call()

		switch {
		case !errors.Is(err, bus.ErrUnknown) && !errors.Is(err, bus.ErrBusy):
			return err
		case b.isClosing():
			return bus.ErrClosed
		case time.Since(begun) > bus.Insist:
			return fmt.Errorf("gave up after %d tries: %w", attempt+1, err)
		}

		if wait := backoff(ctx, attempt); wait != nil {
			return fmt.Errorf("%w: %w", wait, err)
		}
	}
}
