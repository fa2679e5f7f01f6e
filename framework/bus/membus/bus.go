package membus

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/connection"
	"github.com/woodwork-go/woodwork/framework/bus/internal/crew"
)

// Bus is a connection to a broker in memory. Entries, letters and values that it returns are shared with other readers
// or are copies; callers must not change them. What callers pass is copied before a method returns, so they may reuse
// their buffers.
type Bus struct {
	broker *Broker
	closed atomic.Bool
	lapsed atomic.Bool
	done   chan struct{}
	link   connection.Log

	workers crew.Set[*worker]

	mu        sync.Mutex
	followers map[*follower]struct{}
	listeners map[*listener]struct{}
	servers   map[bus.Endpoint]*server
}

var _ bus.Bus = (*Bus)(nil)

// Info implements [bus.Bus].
func (b *Bus) Info() bus.Info {
	return bus.Info{
		Kind: "memory", URL: "memory:", Durability: bus.Memory, MaxBody: b.broker.cfg.MaxBody,
		Retention: max(b.broker.cfg.MaxAge, 0),
	}
}

// Now implements [bus.Clock]: the broker has no clock but this process's.
func (b *Bus) Now(ctx context.Context) (time.Time, error) {
	if err := b.ready(ctx); err != nil {
		return time.Time{}, fmt.Errorf("ask for the time: %w", err)
	}

	return time.Now(), nil
}

// Connection implements [bus.Bus]. It is up until Close.
func (b *Bus) Connection() bus.Connection { return b.link.Now() }

// Close implements [bus.Bus]. Mailboxes that the bus holds go to workers of other buses after their lease, and the
// contexts of their serve calls are cancelled at once. Close waits for deliveries in progress, so a deliver function
// must not call it; for handlers of calls it waits until ctx ends. It always returns nil.
func (b *Bus) Close(ctx context.Context) error {
	if !b.closed.CompareAndSwap(false, true) {
		return nil
	}

	close(b.done)
	b.link.Close()
	b.dropClaims()
	b.stopAll(ctx)

	return nil
}

// Lapse makes the bus as a process that is paused while it works: it takes no more mailboxes and no longer renews its
// claims, so that they go to other workers after their lease, while every other call goes on. It is for tests of what
// a worker can still do after it was declared dead.
func (b *Bus) Lapse() {
	if b.lapsed.CompareAndSwap(false, true) {
		b.dropClaims()
	}
}

// dropClaims starts the leases of all claims of this bus.
func (b *Bus) dropClaims() {
	now := time.Now()

	for _, c := range b.broker.allComponents() {
		c.drop(b, now)
	}
}

// stopAll ends what runs on this bus. Work waits for its serve calls by itself.
func (b *Bus) stopAll(ctx context.Context) {
	b.mu.Lock()
	followers, listeners, servers := b.followers, b.listeners, b.servers
	b.followers, b.listeners, b.servers = nil, nil, nil
	b.mu.Unlock()

	b.workers.End(bus.ErrClosed)

	for f := range followers {
		f.stop()
	}

	for l := range listeners {
		b.unlisten(l)
	}

	stopServing(ctx, servers)
}

// ready returns the error of a call that can't start.
func (b *Bus) ready(ctx context.Context) error {
	if b.closed.Load() {
		return bus.ErrClosed
	}

	return ctx.Err()
}
