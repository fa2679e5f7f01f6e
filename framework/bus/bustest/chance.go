package bustest

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// store1 makes a call that stores something, unless a fault comes before it, and hides its result when one comes after.
// A call that the bus itself refuses fails with the bus's error.
func store1[T any](b *FaultyBus, op Op, call func() (T, error)) (T, error) {
	var none T

	if f, ok := b.script(op); ok {
		if f.stored {
			if v, err := call(); err != nil {
				return v, err
			}
		}

		return none, f.err
	}

	if b.chance(b.cfg.Unstored) {
		return none, bus.ErrUnknown
	}

	v, err := call()
	if err == nil && b.chance(b.cfg.Stored) {
		return none, bus.ErrUnknown
	}

	return v, err
}

// chance draws a fault of the given probability.
func (b *FaultyBus) chance(p float64) bool {
	if p == 0 {
		return false
	}

	b.mu.Lock()
	defer b.mu.Unlock()

	return b.rnd.Float64() < p
}

// delay draws how long something comes late.
func (b *FaultyBus) delay() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()

	return time.Duration(b.rnd.Int64N(int64(b.cfg.MaxDelay)) + 1)
}

// scripted reports whether the next call of op is to fail by script.
func (b *FaultyBus) scripted(op Op) bool {
	b.mu.Lock()
	defer b.mu.Unlock()

	return len(b.scripts[op]) > 0
}

// script takes the next failure of op.
func (b *FaultyBus) script(op Op) (failure, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()

	if len(b.scripts[op]) == 0 {
		return failure{}, false
	}

	f := b.scripts[op][0]
	b.scripts[op] = b.scripts[op][1:]

	return f, true
}

// unread returns the error of a read of the log that fails.
func (b *FaultyBus) unread(op Op) error {
	if f, ok := b.script(op); ok {
		return f.err
	}

	if b.chance(b.cfg.Unread) {
		return bus.ErrUnknown
	}

	return nil
}

// appendLate tries an append after a while, or reports that the bus is closed.
func (b *FaultyBus) appendLate(ctx context.Context, f *bus.Frame, after *bus.Entry) bool {
	delay := b.delay()

	b.mu.Lock()
	defer b.mu.Unlock()

	if b.closed {
		return false
	}

	b.late.Go(func() {
		timer := time.NewTimer(delay)
		defer timer.Stop()

		select {
		case <-timer.C:
		case <-b.done:
		}

		_, _ = b.Bus.Append(context.WithoutCancel(ctx), f, after)
	})

	return true
}

func copyFrame(f *bus.Frame) *bus.Frame {
	c := *f
	c.Lengths = slices.Clone(f.Lengths)
	c.Body = slices.Clone(f.Body)
	c.Meta = maps.Clone(f.Meta)
	c.Trace = maps.Clone(f.Trace)

	return &c
}
