package natsbus

import (
	"context"
	"sync"
)

// broadcast tells everybody who waits for it that something has happened.
type broadcast struct {
	mu      sync.Mutex
	waiting chan struct{} // nil while nobody waits
}

// next returns a channel that is closed when it happens for the next time.
func (c *broadcast) next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.waiting == nil {
		c.waiting = make(chan struct{})
	}

	return c.waiting
}

func (c *broadcast) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.waiting != nil {
		close(c.waiting)
		c.waiting = nil
	}
}

// connected waits until there is a connection. It returns a channel that is closed when a later one was restored.
func (b *Bus) connected(ctx context.Context) (<-chan struct{}, error) {
	for {
		restored := b.restored.next()
		if b.nc.IsConnected() {
			return restored, nil
		}

		select {
		case <-restored:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-b.closing:
			return nil, b.closedError()
		case <-b.done:
			return nil, b.closedError()
		}
	}
}
