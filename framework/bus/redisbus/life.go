package redisbus

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// lifeInterval is how often the bus looks whether the server's data are still those of before.
const lifeInterval = 5 * time.Second

// life is which data the bus has seen: a random text that is stored with them, and lost with them.
type life struct {
	mu sync.Mutex
	id string // "" until it was seen
}

// watchLife looks now and then, until the bus closes, whether the server has lost its data. A server that was emptied, or
// another one behind the same address, answers as before.
func (b *Bus) watchLife(ctx context.Context) {
	tick := time.NewTicker(lifeInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.checkLife(ctx)
		case <-b.closing:
			return
		}
	}
}

// checkLife looks whether the server's data are those of before. Where they aren't it says so, and tells everyone who is
// subscribed to look what is there now. Of a server that doesn't answer the next look says more.
//
// On a cluster it is the data of one server that this notices.
func (b *Bus) checkLife(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	b.life.mu.Lock()
	defer b.life.mu.Unlock()
	id, err := b.findLife(ctx)
	if err != nil {
		b.log.Debug().Err(err).Msg("could not look which data the Redis server has")

		return
	}
	before := b.life.id
	if b.life.id = id; before == "" || before == id {
		return
	}
	b.log.Error().Str("before", before).Str("now", id).Str("url", b.Info().URL).
		Msg("the data of the Redis server are NOT those of before: it was emptied, or another server has its address. " +
			"What was stored before is lost; going on with what is there now")
	b.hub.missed()
}

// findLife returns the text that is stored with the data, and makes it where there is none.
func (b *Bus) findLife(ctx context.Context) (string, error) {
	key := b.ns.RedisLife()
	id, err := b.client.Get(ctx, key).Result()
	if !errors.Is(err, redis.Nil) {
		return id, err
	}
	if err := b.client.SetNX(ctx, key, rand.Text(), 0).Err(); err != nil {
		return "", err
	}

	return b.client.Get(ctx, key).Result() // of whoever was first
}
