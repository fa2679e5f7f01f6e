package redisbus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/crew"
)

// tellFor is for how long the other side of a call is told what it should know while the connection is broken.
const tellFor = 10 * time.Second

// calls carries requests both ways. Each process has one channel for the replies to all its calls, and one for each
// endpoint that it serves, all on the hub's connection.
type calls struct {
	bus     *Bus
	process string // names this process's channel of replies

	mu        sync.Mutex
	last      uint64
	outgoing  map[string]*outgoing // by call
	incoming  map[string]*incoming // by process and call
	endpoints map[string]*endpoint // by channel
	closed    bool                 // no call begins
	mute      bool                 // nothing is told
	running   sync.WaitGroup       // handlers
	telling   sync.WaitGroup
}

func newCalls(b *Bus, process string) *calls {
	return &calls{
		bus: b, process: process,
		outgoing: map[string]*outgoing{}, incoming: map[string]*incoming{}, endpoints: map[string]*endpoint{},
	}
}

// receive hands a note on this process's channel to its call.
func (c *calls) receive(payload string) {
	n, err := unpackNote(payload)
	if err != nil {
		c.bus.counts.Add(err)

		return
	}
	c.mu.Lock()
	out := c.outgoing[n.call]
	c.mu.Unlock()
	if out != nil && n.process == c.process {
		out.receive(n)
	}
}

// interrupt ends all calls, in both directions.
func (c *calls) interrupt(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, out := range c.outgoing {
		out.end(reason)
	}
	for _, in := range c.incoming {
		in.cancel(reason)
	}
}

// publish sends a note and returns how many got it, or -1 where the server can't know that: in a cluster.
func (c *calls) publish(ctx context.Context, channel string, n *note) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	count, err := c.bus.client.Publish(ctx, channel, n.pack()).Result()
	if err == nil && c.bus.clustered() {
		count = -1
	}

	return count, err
}

// insist publishes a note for as long as it may matter to the other side.
func (c *calls) insist(ctx context.Context, channel string, n *note) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, tellFor)
	defer cancel()
	for attempt := 0; ; attempt++ {
		count, err := c.publish(ctx, channel, n)
		var reply redis.Error
		if err == nil || errors.As(err, &reply) && refusal(err) == nil || errors.Is(err, redis.ErrClosed) {
			return count, err
		}
		if ended := backoff(ctx, attempt); ended != nil || c.bus.isClosing() && attempt > 3 {
			return 0, err
		}
	}
}

// tell is insist for those who can't wait.
func (c *calls) tell(ctx context.Context, channel string, n *note) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mute {
		return
	}
	ctx = context.WithoutCancel(ctx)
	c.telling.Go(func() { _, _ = c.insist(ctx, channel, n) }) // else it ends by its time-out
}

// close ends all calls, tells the other sides, and waits until the handlers have returned, but not for long: one that
// doesn't heed its context ends later.
func (c *calls) close(ctx context.Context) {
	c.mu.Lock()
	c.closed = true
	open := make([]*outgoing, 0, len(c.outgoing))
	for _, out := range c.outgoing {
		open = append(open, out)
	}
	c.mu.Unlock()
	for _, out := range open {
		out.leave(ctx) // Call itself may be late
	}
	c.interrupt(bus.ErrClosed)
	crew.AwaitEnd(ctx, &c.running)
	c.mu.Lock()
	c.mute = true
	c.mu.Unlock()
	crew.AwaitEnd(ctx, &c.telling)
}

// clustered reports whether the server is one of a cluster.
func (b *Bus) clustered() bool {
	_, cluster := b.client.(*redis.ClusterClient)

	return cluster
}

// listeners returns how many are subscribed to a channel on all servers of a cluster.
func (b *Bus) listeners(ctx context.Context, channel string) (int64, error) {
	cluster, ok := b.client.(*redis.ClusterClient)
	if !ok {
		return 0, fmt.Errorf("%w: not a cluster", errReply)
	}
	var (
		mu  sync.Mutex
		sum int64
	)
	err := cluster.ForEachShard(ctx, func(ctx context.Context, one *redis.Client) error {
		counts, err := one.PubSubNumSub(ctx, channel).Result()
		mu.Lock()
		defer mu.Unlock()
		sum += counts[channel]

		return err
	})

	return sum, err
}
