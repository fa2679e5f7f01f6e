package call

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// attempt asks one instance and returns its reply.
func (f *flight) attempt(ctx context.Context, to bus.Endpoint, permit *breaker.Permit) ([]byte, error) {
	var (
		body    []byte
		replies int
		err     error
	)

	for m, e := range f.replies(ctx, to, permit) {
		if e != nil {
			err = e

			break
		}

		replies++
		if replies > 1 {
			return nil, errMany
		}

		body = m.Body
	}

	return body, err
}

// errMany: a stream was called as if it were not one.
var errMany = errors.New("the operation sent more than one reply; call it as a stream")

// replies asks one instance, yields what it says, and reports to its breaker.
func (f *flight) replies(ctx context.Context, to bus.Endpoint, permit *breaker.Permit) iter.Seq2[*bus.Message, error] {
	return func(yield func(*bus.Message, error) bool) {
		inner, leave := f.client.enter(ctx, to)
		defer leave()

		defer permit.Done(breaker.Ignored) // the caller wanted no more

		inner, span, message := f.traced(inner, to)
		defer span.End()

		for m, err := range f.client.rpc.Call(inner, to, message) {
			if err != nil {
				err = explain(inner, err)
				span.Fail(err)
				permit.Done(outcome(err))
				yield(nil, err)

				return
			}

			if !yield(m, nil) {
				return
			}
		}

		permit.Done(breaker.Success)
	}
}

// enter notes that a call to an instance is under way. The returned context ends when the instance leaves.
func (c *Client) enter(ctx context.Context, to bus.Endpoint) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	key := &cancel

	c.mu.Lock()
	if c.calls[to] == nil {
		c.calls[to] = map[*context.CancelCauseFunc]struct{}{}
	}

	c.calls[to][key] = struct{}{}
	c.mu.Unlock()

	if !c.dir.Has(to) { // it left before it could be noted
		cancel(errLeft)
	}

	return ctx, func() {
		c.mu.Lock()
		delete(c.calls[to], key)

		if len(c.calls[to]) == 0 {
			delete(c.calls, to)
		}
		c.mu.Unlock()

		cancel(nil)
	}
}

func (c *Client) underWay(to bus.Endpoint) int {
	c.mu.Lock()
	defer c.mu.Unlock()

	return len(c.calls[to])
}

// Left ends the calls under way to an instance that is no longer there, and forgets its breaker. The calls fail with
// [bus.ErrInterrupted], or are sent to another instance if they are idempotent.
func (c *Client) Left(instance bus.Endpoint) {
	c.mu.Lock()
	for cancel := range c.calls[instance] {
		(*cancel)(errLeft)
	}
	c.mu.Unlock()

	c.breakers.Forget(instance.String())
}

// Recheck does what Left does for each instance that the directory doesn't have.
func (c *Client) Recheck() {
	var gone []bus.Endpoint

	c.mu.Lock()
	for to := range c.calls {
		if !c.dir.Has(to) {
			gone = append(gone, to)
		}
	}
	c.mu.Unlock()

	for _, to := range gone {
		c.Left(to)
	}
}

// within bounds a call; d < 0 sets no bound.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d < 0 {
		return context.WithCancel(ctx)
	}

	return context.WithTimeoutCause(ctx, d, fmt.Errorf("%w: after %v: %w", ErrTimeout, d, context.DeadlineExceeded))
}
