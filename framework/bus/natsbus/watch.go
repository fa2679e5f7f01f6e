package natsbus

import (
	"context"
	"fmt"
	"iter"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Watch yields the keys under a prefix and their changes; see [bus.KV]. It uses a consumer of the bucket, which the
// client makes again when it is lost; a key may then be yielded once more.
func (b *Bus) Watch(ctx context.Context, bucket bus.Bucket, prefix string) iter.Seq2[bus.KVEvent, error] {
	return func(yield func(bus.KVEvent, error) bool) {
		if err := b.watch(ctx, bucket, prefix, func(e bus.KVEvent) bool { return yield(e, nil) }); err != nil {
			yield(bus.KVEvent{}, fmt.Errorf("watch %s %s: %w", bucket, prefix, err))
		}
	}
}

// watch calls yield until it returns false, ctx ends or the bus can't go on.
func (b *Bus) watch(ctx context.Context, bucket bus.Bucket, prefix string, yield func(bus.KVEvent) bool) error {
	keys := []string{">"}
	if prefix != "" {
		if err := checkKey(prefix); err != nil {
			return err
		}
		keys = []string{prefix, prefix + ".>"}
	}
	if bucket != bus.Registry && bucket != bus.Sessions {
		return fmt.Errorf("there is no such bucket: %w", bus.ErrInvalid)
	}
	kv, err := b.js.KeyValue(ctx, b.ns.Bucket(string(bucket)))
	if err != nil {
		return mapError(err)
	}
	w, err := kv.WatchFiltered(ctx, keys)
	if err != nil {
		return mapError(err)
	}
	defer func() { _ = w.Stop() }() // it fails on a lost connection only, where there is nothing to stop

	return b.watched(ctx, w.Updates(), presentFirst(yield))
}

// presentFirst leaves out keys that were gone before the watch began.
func presentFirst(yield func(bus.KVEvent) bool) func(bus.KVEvent) bool {
	present := map[string]struct{}{} // nil when synced

	return func(e bus.KVEvent) bool {
		switch _, known := present[e.Entry.Key]; {
		case e.Kind == bus.KVSynced:
			present = nil
		case present != nil && e.Kind == bus.KVGone && !known:
			return true
		case present != nil:
			present[e.Entry.Key] = struct{}{}
		}

		return yield(e)
	}
}

func (b *Bus) watched(ctx context.Context, updates <-chan jetstream.KeyValueEntry, yield func(bus.KVEvent) bool) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.closing:
			return b.closedError()
		case <-b.done:
			return b.closedError()
		case u, ok := <-updates:
			if !ok && ctx.Err() == nil {
				return fmt.Errorf("the watch ended: %w", bus.ErrUnknown)
			}
			if !ok || ctx.Err() != nil || !yield(kvEvent(u)) {
				return nil //nolint:nilerr // a watch ends with its context
			}
		}
	}
}

// kvEvent translates an update; nil says that all that was there has been seen.
func kvEvent(u jetstream.KeyValueEntry) bus.KVEvent {
	switch {
	case u == nil:
		return bus.KVEvent{Kind: bus.KVSynced}
	case u.Operation() != jetstream.KeyValuePut:
		return bus.KVEvent{Kind: bus.KVGone, Entry: bus.KVEntry{Key: u.Key(), Revision: u.Revision()}}
	default:
		return bus.KVEvent{Kind: bus.KVSet, Entry: bus.KVEntry{Key: u.Key(), Value: u.Value(), Revision: u.Revision()}}
	}
}
