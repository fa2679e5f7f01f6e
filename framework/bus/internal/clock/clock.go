// Package clock tells the time by the clock of a broker that has to be asked for it.
package clock

import (
	"context"
	"time"
)

const (
	// fresh is for how long an answer counts; two clocks drift apart by a few milliseconds in that time.
	fresh = time.Minute
	// again is after how long a broker that didn't answer is asked again.
	again = time.Second
	// patience bounds a question when an older answer will do.
	patience = 2 * time.Second
	// step is by how much this machine's clock may differ from its monotonic one until the broker is asked again: it was
	// set, or the machine was suspended.
	step = time.Second
)

// Clock goes by what a broker says. All methods may be called concurrently.
type Clock struct {
	ask  func(ctx context.Context) (time.Time, error)
	turn chan struct{} // held while the fields below are used

	said  time.Time // what the broker's clock said
	here  time.Time // and this machine's
	asked time.Time // when it was asked last; zero: never
}

// New returns a clock that asks a broker by ask.
func New(ask func(ctx context.Context) (time.Time, error)) *Clock {
	return &Clock{ask: ask, turn: make(chan struct{}, 1)}
}

// Now returns the broker's time. It fails when the broker has never answered and does not now.
func (c *Clock) Now(ctx context.Context) (time.Time, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	}

	defer func() { <-c.turn }()

	if now := time.Now(); c.due(now) {
		c.asked = now

		if err := c.measure(ctx); err != nil && c.here.IsZero() {
			c.asked = time.Time{}

			return time.Time{}, err
		}
	}

	return c.said.Add(time.Since(c.here)), nil
}

// due reports whether the broker is to be asked.
func (c *Clock) due(now time.Time) bool {
	if c.here.IsZero() {
		return true
	}

	elapsed, byTheClock := now.Sub(c.here), now.Round(0).Sub(c.here.Round(0))
	doubt := elapsed >= fresh || (byTheClock-elapsed).Abs() > step

	return doubt && now.Sub(c.asked) >= again
}

// measure asks. The answer was true when half of the time had passed.
func (c *Clock) measure(ctx context.Context) error {
	if !c.here.IsZero() {
		var cancel context.CancelFunc

		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}

	begun := time.Now()

	said, err := c.ask(ctx)
	if err != nil {
		return err
	}

	c.here = time.Now()
	c.said = said.Add(c.here.Sub(begun) / 2)

	return nil
}
