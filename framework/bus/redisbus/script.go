package redisbus

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// script is a Lua script that the server runs in one step. All keys of one run hold the same hash tag.
type script struct {
	name string // for messages
	lua  *redis.Script
}

func newScript(name, source string) *script { return &script{name: name, lua: redis.NewScript(source)} }

// run runs a script by its digest, or by its source where the server doesn't know it yet, and returns its reply. It tries
// once, within ctx. Its errors are outcomes of the port; see storeError. An ended ctx fails before anything is sent.
func (b *Bus) run(ctx context.Context, s *script, keys []string, args ...any) (any, error) {
	if err := b.ready(ctx); err != nil {
		return nil, err
	}
	reply, err := s.lua.Run(ctx, b.client, keys, args...).Result()
	if err != nil {
		return nil, b.storeError(ctx, err)
	}

	return reply, nil
}

// runList is run for a script that returns a list of at least n elements.
func (b *Bus) runList(ctx context.Context, s *script, n int, keys []string, args ...any) ([]any, error) {
	reply, err := b.run(ctx, s, keys, args...)
	if err != nil {
		return nil, err
	}
	list, ok := reply.([]any)
	if !ok || len(list) < n {
		return nil, fmt.Errorf("%w: script %s returned %T of %d", errReply, s.name, reply, len(list))
	}

	return list, nil
}
