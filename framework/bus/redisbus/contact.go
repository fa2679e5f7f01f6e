package redisbus

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/connection"
)

// mutePatience is for how long no command may get through before that counts as a broken connection. A single one fails
// of a pooled connection that the server had ended, and says little.
const mutePatience = time.Second

// contact knows whether the bus is in contact with its servers: it hears what is published, and its commands are
// answered. Each can break without the other, as on servers behind a balancer or with another master.
type contact struct {
	log     connection.Log
	failing atomic.Bool // the last command got no answer

	mu    sync.Mutex
	deaf  bool      // the subscribed connection is broken
	mute  bool      // commands get no answers
	since time.Time // the first command that got none after one that did
}

// Connection says whether the server is heard and answers; see [bus.Bus].
func (b *Bus) Connection() bus.Connection { return b.contact.log.Now() }

// heard notes that there is a subscribed connection.
func (c *contact) heard() {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.deaf = false
	c.settle()
}

// unheard notes that there is none, and why.
func (c *contact) unheard(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.deaf = true
	c.log.Broke(reason)
}

// answered notes that a command got an answer.
func (c *contact) answered() {
	if !c.failing.Load() {
		return
	}

	c.mu.Lock()
	defer c.mu.Unlock()

	c.failing.Store(false)
	c.mute = false
	c.settle()
}

// unanswered notes that a command got none, and why.
func (c *contact) unanswered(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if !c.failing.Swap(true) {
		c.since = time.Now()
	}

	if time.Since(c.since) >= mutePatience {
		c.mute = true
		c.log.Broke(reason)
	}
}

// settle notes that the connection is there when nothing is wrong with it. mu is held.
func (c *contact) settle() {
	if !c.deaf && !c.mute {
		c.log.Up()
	}
}

var _ redis.Hook = (*contact)(nil)

// DialHook implements [redis.Hook].
func (*contact) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements [redis.Hook].
func (c *contact) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		c.judge(ctx, err)

		return err
	}
}

// ProcessPipelineHook implements [redis.Hook].
func (c *contact) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		c.judge(ctx, err)

		return err
	}
}

// judge notes what the outcome of a command says about the connection: nothing where the caller gave up or the client
// had no connection free.
func (c *contact) judge(ctx context.Context, err error) {
	var reply redis.Error

	switch {
	case err == nil, errors.As(err, &reply):
		c.answered()
	case ctx.Err() != nil, errors.Is(err, redis.ErrClosed),
		errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
	default:
		c.unanswered(err)
	}
}
