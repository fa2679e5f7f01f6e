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
// it costs no round trip.
func (c *Client) Registry(ctx context.Context) (*registry.Registry, error) {
	r, err := c.directory.open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}

	if err := r.Wait(ctx); err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}

	return r, nil
}

// directory is the registry of a client, opened when it is asked for.
type directory struct {
	mu      sync.Mutex
	opened  *registry.Registry
	stop    context.CancelFunc
	running sync.WaitGroup
	closed  bool
}

func (d *directory) open(ctx context.Context, c *Client) (*registry.Registry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()

	if d.closed {
		return nil, bus.ErrClosed
	}

	if d.opened == nil {
		d.opened = registry.New(c.bus, registry.Config{Logger: c.log})
		ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))

		d.running.Go(func() {
			if err := d.opened.Run(ctx); err != nil && !errors.Is(err, bus.ErrClosed) {
				c.log.Warn().Err(err).Msg("the registry is no longer followed")
			}
		})
	}

	return d.opened, nil
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
