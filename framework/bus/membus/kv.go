package membus

import (
	"container/heap"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// maxKeyIDs is how many ids a key may join.
const maxKeyIDs = 8

// bucket is one key space. What has expired is dropped by the next call that looks.
type bucket struct {
	mu       sync.Mutex
	items    map[string]*item
	expiring itemHeap
	watches  map[*watch]struct{}
	revision uint64
}

// item is a key that is there.
type item struct {
	entry bus.KVEntry
	ends  time.Time // zero: never
	index int       // in expiring, or -1
}

// Get implements [bus.KV].
func (b *Bus) Get(ctx context.Context, name bus.Bucket, key string) (bus.KVEntry, error) {
	k, err := b.bucket(ctx, name, key)
	if err != nil {
		return bus.KVEntry{}, fmt.Errorf("get key: %w", err)
	}

	k.mu.Lock()
	defer k.mu.Unlock()

	k.expire(b.broker, time.Now())

	it := k.items[key]
	if it == nil {
		return bus.KVEntry{}, fmt.Errorf("get key %s: %w", key, bus.ErrNotFound)
	}

	return copyKV(it.entry), nil
}

// Set implements [bus.KV].
func (b *Bus) Set(
	ctx context.Context, name bus.Bucket, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, error) {
	k, err := b.bucket(ctx, name, key)
	if err != nil {
		return 0, fmt.Errorf("set key: %w", err)
	}

	if err := checkValue(value, ttl, b.broker.cfg.MaxBody); err != nil {
		return 0, fmt.Errorf("set key %s: %w", key, err)
	}

	now := time.Now()
	if !b.broker.reserve(kvBytes(key, value), now) {
		return 0, fmt.Errorf("set key %s: %w", key, bus.ErrFull)
	}

	k.mu.Lock()
	defer k.mu.Unlock()

	k.expire(b.broker, now)

	if !k.at(key, revision) {
		b.broker.free(kvBytes(key, value))

		return 0, fmt.Errorf("set key %s at revision %d: %w", key, revision, bus.ErrConflict)
	}

	k.drop(b.broker, key)
	k.revision++
	k.put(bus.KVEntry{Key: key, Value: slices.Clone(value), Revision: k.revision}, now, ttl)

	return k.revision, nil
}

// Renew implements [bus.KV].
func (b *Bus) Renew(ctx context.Context, name bus.Bucket, key string, ttl time.Duration) error {
	k, err := b.bucket(ctx, name, key)
	if err != nil {
		return fmt.Errorf("renew key: %w", err)
	}

	if err := checkValue(nil, ttl, b.broker.cfg.MaxBody); err != nil {
		return fmt.Errorf("renew key %s: %w", key, err)
	}

	k.mu.Lock()
	defer k.mu.Unlock()

	now := time.Now()
	k.expire(b.broker, now)

	it := k.items[key]
	if it == nil {
		return fmt.Errorf("renew key %s: %w", key, bus.ErrNotFound)
	}

	k.end(it, now, ttl)

	return nil
}

// Delete implements [bus.KV]. Deleting a key that is not there succeeds with revision 0 and is a conflict otherwise.
func (b *Bus) Delete(ctx context.Context, name bus.Bucket, key string, revision uint64) error {
	k, err := b.bucket(ctx, name, key)
	if err != nil {
		return fmt.Errorf("delete key: %w", err)
	}

	k.mu.Lock()
	defer k.mu.Unlock()

	k.expire(b.broker, time.Now())

	if revision != 0 && !k.at(key, revision) {
		return fmt.Errorf("delete key %s at revision %d: %w", key, revision, bus.ErrConflict)
	}

	if k.items[key] != nil {
		k.gone(b.broker, key)
	}

	return nil
}

// bucket returns a bucket after checking everything that all its calls have in common.
func (b *Bus) bucket(ctx context.Context, name bus.Bucket, key string) (*bucket, error) {
	if err := checkID("bucket", string(name)); err != nil {
		return nil, err
	}

	if err := checkKey(key); err != nil {
		return nil, err
	}

	if err := b.ready(ctx); err != nil {
		return nil, err
	}

	return b.broker.bucket(name), nil
}

func (b *Broker) bucket(name bus.Bucket) *bucket {
	b.mu.Lock()
	defer b.mu.Unlock()

	k := b.buckets[name]
	if k == nil {
		k = &bucket{items: make(map[string]*item), watches: make(map[*watch]struct{})}
		b.buckets[name] = k
	}

	return k
}

func checkKey(key string) error {
	ids := strings.SplitN(key, ".", maxKeyIDs+1)
	if len(ids) > maxKeyIDs || slices.ContainsFunc(ids, func(id string) bool { return !subjects.ValidID(id) }) {
		return fmt.Errorf("key %.80q is not one to %d ids joined by dots: %w", key, maxKeyIDs, bus.ErrInvalid)
	}

	return nil
}

func checkValue(value []byte, ttl time.Duration, maxBody int) error {
	if ttl < 0 || ttl%time.Second != 0 {
		return fmt.Errorf("ttl %v is not whole seconds: %w", ttl, bus.ErrInvalid)
	}

	if len(value) > maxBody {
		return fmt.Errorf("%d bytes of at most %d: %w", len(value), maxBody, bus.ErrTooLarge)
	}

	return nil
}

func kvBytes(key string, value []byte) int64 { return int64(itemBytes + len(key) + len(value)) }

func copyKV(e bus.KVEntry) bus.KVEntry {
	e.Value = slices.Clone(e.Value)

	return e
}

// at reports whether the key is at the revision; 0 says that it is not there.
func (k *bucket) at(key string, revision uint64) bool {
	if it := k.items[key]; it != nil {
		return it.entry.Revision == revision
	}

	return revision == 0
}

func (k *bucket) put(e bus.KVEntry, now time.Time, ttl time.Duration) {
	it := &item{entry: e, index: -1}
	k.items[e.Key] = it
	k.end(it, now, ttl)
	k.tell(bus.KVEvent{Kind: bus.KVSet, Entry: e})
}

// end says when a key expires: ttl from now, or never where that is 0.
func (k *bucket) end(it *item, now time.Time, ttl time.Duration) {
	if it.index >= 0 {
		heap.Remove(&k.expiring, it.index)
	}

	it.ends = time.Time{}

	if ttl > 0 {
		it.ends = now.Add(ttl)
		heap.Push(&k.expiring, it)
	}
}

// drop forgets a key, if it is there, without telling anyone.
func (k *bucket) drop(b *Broker, key string) {
	it := k.items[key]
	if it == nil {
		return
	}

	if it.index >= 0 {
		heap.Remove(&k.expiring, it.index)
	}

	b.free(kvBytes(key, it.entry.Value))
	delete(k.items, key)
}

// gone drops a key that was deleted or has expired.
func (k *bucket) gone(b *Broker, key string) {
	k.drop(b, key)
	k.revision++
	k.tell(bus.KVEvent{Kind: bus.KVGone, Entry: bus.KVEntry{Key: key, Revision: k.revision}})
}

func (k *bucket) expire(b *Broker, now time.Time) {
	for len(k.expiring) > 0 && !k.expiring[0].ends.After(now) {
		k.gone(b, k.expiring[0].entry.Key)
	}
}

func (k *bucket) tell(e bus.KVEvent) {
	for w := range k.watches {
		w.push(e)
	}
}

// itemHeap orders keys by when they expire.
type itemHeap []*item

var _ heap.Interface = (*itemHeap)(nil)

func (h itemHeap) Len() int           { return len(h) }
func (h itemHeap) Less(i, j int) bool { return h[i].ends.Before(h[j].ends) }

func (h itemHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements [heap.Interface].
func (h *itemHeap) Push(v any) {
	it := v.(*item) //nolint:forcetypeassert // bucket.put passes nothing else.
	it.index = len(*h)
	*h = append(*h, it)
}

// Pop implements [heap.Interface].
func (h *itemHeap) Pop() any {
	n := len(*h) - 1
	it := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	it.index = -1

	return it
}
