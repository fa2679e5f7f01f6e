package membus

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// compactOver is how many changes wait for a watch before only the last one of each key is kept.
const compactOver = 1024

// watch is what one call of Watch has not yielded yet. Its bucket's lock guards it.
type watch struct {
	under string // what its keys begin with
	queue []bus.KVEvent
	limit int
	wake  chan struct{} // holds one token while there may be something new
}

// Watch implements [bus.KV]. Keys under a prefix are longer than it by at least one id. Of more than 1,024 changes
// that a watch has not kept up with only the last of each key remain.
func (b *Bus) Watch(ctx context.Context, name bus.Bucket, prefix string) iter.Seq2[bus.KVEvent, error] {
	return func(yield func(bus.KVEvent, error) bool) {
		k, under, err := b.watched(ctx, name, prefix)
		if err != nil {
			yield(bus.KVEvent{}, fmt.Errorf("watch keys: %w", err))

			return
		}

		w := k.open(b.broker, under)
		defer k.close(w)

		if err := b.watch(ctx, k, w, yield); err != nil && ctx.Err() == nil {
			yield(bus.KVEvent{}, fmt.Errorf("watch keys: %w", err))
		}
	}
}

func (b *Bus) watched(ctx context.Context, name bus.Bucket, prefix string) (*bucket, string, error) {
	if prefix == "" {
		k, err := b.bucket(ctx, name, "any")

		return k, "", err
	}

	k, err := b.bucket(ctx, name, prefix)

	return k, prefix + ".", err
}

// watch yields until the caller has enough, for which it returns nil, until ctx ends or until the bus is closed.
func (b *Bus) watch(ctx context.Context, k *bucket, w *watch, yield func(bus.KVEvent, error) bool) error {
	for {
		events, next := k.take(b.broker, w)
		for _, e := range events {
			if err := b.ready(ctx); err != nil {
				return err
			}

			e.Entry = copyKV(e.Entry)
			if !yield(e, nil) {
				return nil
			}
		}

		if err := b.waitFor(ctx, w, next); err != nil {
			return err
		}
	}
}

// waitFor waits until there may be something new or a key of the bucket expires; a zero time says that none does.
func (b *Bus) waitFor(ctx context.Context, w *watch, next time.Time) error {
	var expired <-chan time.Time

	if !next.IsZero() {
		t := time.NewTimer(time.Until(next))
		defer t.Stop()

		expired = t.C
	}

	select {
	case <-w.wake:
		return nil
	case <-expired:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-b.done:
		return bus.ErrClosed
	}
}

func (k *bucket) open(b *Broker, under string) *watch {
	k.mu.Lock()
	defer k.mu.Unlock()

	k.expire(b, time.Now())

	w := &watch{under: under, limit: compactOver, wake: make(chan struct{}, 1)}

	for _, key := range slices.Sorted(maps.Keys(k.items)) {
		if strings.HasPrefix(key, under) {
			w.queue = append(w.queue, bus.KVEvent{Kind: bus.KVSet, Entry: k.items[key].entry})
		}
	}

	w.queue = append(w.queue, bus.KVEvent{Kind: bus.KVSynced})
	w.limit += len(w.queue)
	k.watches[w] = struct{}{}

	return w
}

func (k *bucket) close(w *watch) {
	k.mu.Lock()
	defer k.mu.Unlock()

	delete(k.watches, w)
}

// take returns what the watch has not yielded and when the next key of the bucket expires.
func (k *bucket) take(b *Broker, w *watch) ([]bus.KVEvent, time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()

	k.expire(b, time.Now())

	events := w.queue
	w.queue, w.limit = nil, compactOver

	if len(k.expiring) > 0 {
		return events, k.expiring[0].ends
	}

	return events, time.Time{}
}

func (w *watch) push(e bus.KVEvent) {
	if !strings.HasPrefix(e.Entry.Key, w.under) {
		return
	}

	w.queue = append(w.queue, e)
	if len(w.queue) > w.limit {
		w.compact()
	}

	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// compact keeps the last event of each key, and of the snapshot's end. It then allows for twice what remains, so that
// many keys don't make each push compact again.
func (w *watch) compact() {
	last := make(map[string]int, len(w.queue))
	for i, e := range w.queue {
		last[e.Entry.Key] = i
	}

	kept := w.queue[:0]
	for i, e := range w.queue {
		if last[e.Entry.Key] == i {
			kept = append(kept, e)
		}
	}

	clear(w.queue[len(kept):])
	w.queue = kept
	w.limit = max(compactOver, 2*len(kept))
}
