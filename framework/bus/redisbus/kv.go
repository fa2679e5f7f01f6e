package redisbus

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

var _ bus.KV = (*Bus)(nil)

const (
	maxKeyIDs = 8
	// kvInline is the size up to which a value is part of the notice of its change; watches ask for larger ones.
	kvInline = 4 << 10
	// kvRefused is what scripts answer when a key is at another revision.
	kvRefused = -1
)

// Get returns a key's value; see [bus.KV].
func (b *Bus) Get(ctx context.Context, name bus.Bucket, key string) (bus.KVEntry, error) {
	keys, err := b.bucket(name, key)
	if err != nil {
		return bus.KVEntry{}, fmt.Errorf("get key: %w", err)
	}

	e, err := b.get(ctx, keys, key)
	if err != nil {
		return bus.KVEntry{}, fmt.Errorf("get %s %s: %w", name, key, err)
	}

	return e, nil
}

func (b *Bus) get(ctx context.Context, keys subjects.RedisBucket, key string) (bus.KVEntry, error) {
	answer, err := b.runList(ctx, b.scripts.kvGet, 0, []string{keys.Values}, key)
	if err != nil {
		return bus.KVEntry{}, err
	}

	if len(answer) == 0 {
		return bus.KVEntry{}, bus.ErrNotFound
	}

	return kvEntry(key, answer)
}

// kvEntry reads a revision and a value as scripts return them.
func kvEntry(key string, answer []any) (bus.KVEntry, error) {
	if len(answer) >= 2 {
		revision, numeric := answer[0].(int64)
		if value, ok := answer[1].(string); ok && numeric && revision > 0 {
			return bus.KVEntry{Key: key, Value: []byte(value), Revision: uint64(revision)}, nil
		}
	}

	return bus.KVEntry{}, fmt.Errorf("%w: key %s of %d parts", errReply, key, len(answer))
}

// Set stores a value on condition of the key's revision; see [bus.KV].
func (b *Bus) Set(
	ctx context.Context, name bus.Bucket, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, error) {
	keys, err := b.bucket(name, key)
	if err != nil {
		return 0, fmt.Errorf("set key: %w", err)
	}

	if err := b.checkValue(value, ttl); err != nil {
		return 0, fmt.Errorf("set %s %s: %w", name, key, err)
	}

	answer, err := b.run(ctx, b.scripts.kvSet, []string{keys.Values, keys.Keys, keys.Expiry, keys.Revision},
		keys.Changes, key, revision, ttl.Microseconds(), kvInline, value)
	if err != nil {
		return 0, fmt.Errorf("set %s %s: %w", name, key, err)
	}

	if n := verdict(answer); n > 0 {
		return uint64(n), nil
	}

	return 0, fmt.Errorf("set %s %s at revision %d: %w", name, key, revision, bus.ErrConflict)
}

// Renew makes a key last longer; see [bus.KV].
func (b *Bus) Renew(ctx context.Context, name bus.Bucket, key string, ttl time.Duration) error {
	keys, err := b.bucket(name, key)
	if err != nil {
		return fmt.Errorf("renew key: %w", err)
	}

	if err := b.checkValue(nil, ttl); err != nil {
		return fmt.Errorf("renew %s %s: %w", name, key, err)
	}

	answer, err := b.run(ctx, b.scripts.kvRenew, []string{keys.Values, keys.Expiry}, key, ttl.Microseconds())
	if err == nil && verdict(answer) == 0 {
		err = bus.ErrNotFound
	}

	if err != nil {
		return fmt.Errorf("renew %s %s: %w", name, key, err)
	}

	return nil
}

// Delete removes a key on condition of its revision; see [bus.KV]. Deleting a key that is not there succeeds with
// revision 0 and is a conflict otherwise.
func (b *Bus) Delete(ctx context.Context, name bus.Bucket, key string, revision uint64) error {
	keys, err := b.bucket(name, key)
	if err != nil {
		return fmt.Errorf("delete key: %w", err)
	}

	answer, err := b.run(ctx, b.scripts.kvDelete, []string{keys.Values, keys.Keys, keys.Expiry, keys.Revision},
		keys.Changes, key, revision)
	if err != nil {
		return fmt.Errorf("delete %s %s: %w", name, key, err)
	}

	if verdict(answer) == kvRefused {
		return fmt.Errorf("delete %s %s at revision %d: %w", name, key, revision, bus.ErrConflict)
	}

	return nil
}

// bucket returns where a bucket is, after checking its name and a key or prefix of it.
func (b *Bus) bucket(name bus.Bucket, key string) (subjects.RedisBucket, error) {
	if name != bus.Registry && name != bus.Sessions {
		return subjects.RedisBucket{}, fmt.Errorf("there is no bucket %.40q: %w", string(name), bus.ErrInvalid)
	}

	ids := 0
	for id := range strings.SplitSeq(key, ".") {
		ids++
		if err := subjects.CheckID("key part", id); err != nil || ids > maxKeyIDs {
			return subjects.RedisBucket{}, fmt.Errorf("a key is 1 to %d ids joined by dots: %w: %w", maxKeyIDs, bus.ErrInvalid, err)
		}
	}

	return b.ns.RedisBucket(string(name)), nil
}

func (b *Bus) checkValue(value []byte, ttl time.Duration) error {
	if ttl < 0 || ttl%time.Second != 0 {
		return fmt.Errorf("ttl %v is not whole seconds: %w", ttl, bus.ErrInvalid)
	}

	if most := b.Info().MaxBody; len(value) > most {
		return fmt.Errorf("%d bytes of at most %d: %w", len(value), most, bus.ErrTooLarge)
	}

	return nil
}
