package measure

import (
	"context"
	"time"
)

// Pace calls f n times, the i-th at start + i·interval or as soon after as it can, with the time at which it was meant to
// be called. Whoever measures from that time counts the waits that a slow system causes, too (no coordinated omission).
// It ends early with ctx or with f's error.
func Pace(ctx context.Context, start time.Time, interval time.Duration, n int, f func(meant time.Time) error) error {
	timer := time.NewTimer(time.Until(start))
	defer timer.Stop()

	for i := range n {
		meant := start.Add(time.Duration(i) * interval)

		if wait := time.Until(meant); wait > 0 {
			timer.Reset(wait)

			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err() //nolint:wrapcheck // the caller's own context
			}
		}

		if err := f(meant); err != nil {
			return err
		}
	}

	return nil
}
