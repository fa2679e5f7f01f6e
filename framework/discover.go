package framework

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/registry"
)

// Registry returns the client's copy of who is there: all instances of all components of the application. The first call
// opens it and returns when it is complete; from then on it follows every change until the client is closed, and asking
// it costs no round trip. The client's circuit breakers obey what operators say there.
func (c *Client) Registry(ctx context.Context) (*registry.Registry, error) {
	if err := c.directory.open(ctx, c); err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}

	if err := c.directory.wait(ctx, c.obedience); err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}

	return c.directory.registry, nil
}

// directory is the registry of a client, followed from when it is asked for.
type directory struct {
	registry *registry.Registry

	mu      sync.Mutex
	stop    context.CancelFunc // nil until it is followed
	running sync.WaitGroup
	closed  bool
}

func (d *directory) open(ctx context.Context, c *Client) error {
	d.mu.Lock()
	defer d.mu.Unlock()

	if d.closed {
		return bus.ErrClosed
	}

	if d.stop == nil {
		ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))

		d.running.Go(func() {
			if err := d.registry.Run(ctx); err != nil && !errors.Is(err, bus.ErrClosed) {
				c.log.Warn().Err(err).Msg("the registry is no longer followed")
			}
		})
		d.running.Go(func() { c.obedience.follow(ctx, d.registry) })
	}

	return nil
}

// wait returns when the copy is complete and the breakers do what it says.
func (d *directory) wait(ctx context.Context, o *obedience) error {
	if err := d.registry.Wait(ctx); err != nil {
		return err //nolint:wrapcheck // it says what it waited for
	}

	select {
	case <-o.begun:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close ends the registry and waits for it. It is idempotent.
func (d *directory) close() {
	d.mu.Lock()
	defer d.mu.Unlock()

	d.closed = true

	if d.stop != nil {
		d.stop()
	}

	d.running.Wait()
}
