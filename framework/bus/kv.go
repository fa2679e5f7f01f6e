package bus

import (
	"context"
	"iter"
	"time"
)

// Bucket is one of the fixed key spaces of an application.
type Bucket string

// The buckets.
const (
	// Registry holds the instances that are there, and what operators say about their circuit breakers.
	Registry Bucket = "registry"
	// Sessions holds the state of sessions and of components within them.
	Sessions Bucket = "sessions"
)

// KVEntry is a key and its value at one revision.
type KVEntry struct {
	Key   string
	Value []byte
	// Revision grows with every change of the key, and stays when the key is only renewed; 0 means that there is none.
	Revision uint64
}

// KV is a small, consistent key-value store for state that outlives a process. Keys are one to eight ids joined by
// dots. Values are bounded by [Info].MaxBody.
type KV interface {
	// Get returns the key's value from the authority for writes, or [ErrNotFound].
	Get(ctx context.Context, b Bucket, key string) (KVEntry, error)

	// Set stores a value on condition that the key is at the given revision (0: it does not exist, or was deleted or
	// expired) and returns the new revision, or [ErrConflict]. A positive ttl (whole seconds, at least 1 s) makes the
	// key expire unless it is set again; zero keeps it. It may return [ErrUnknown]: read the key again.
	Set(ctx context.Context, b Bucket, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error)

	// Renew makes a key last for ttl from now on, as [KV].Set takes it, and changes nothing else: its value and its revision
	// stay, so that who has read the key before can still change it. It fails with [ErrNotFound] when there is no such key.
	// It may return [ErrUnknown]; repeating it is harmless. Watches may yield the key once more as it was.
	Renew(ctx context.Context, b Bucket, key string, ttl time.Duration) error

	// Delete removes the key on condition that it is at the given revision; 0 removes whatever is there.
	Delete(ctx context.Context, b Bucket, key string, revision uint64) error

	// Watch yields the present keys under a prefix of whole ids ("" for all), then one event with Kind Synced, then
	// changes as they happen. It outlives a broken connection and a restart of the broker: soon after, it yields the last
	// change of each key that has changed meanwhile, and what is no longer there as gone. It may yield a key once more as
	// it was. Where the broker is a cluster, a change may be yielded a moment before Get returns it: what an event says
	// counts, Set decides. It ends with ctx, or with an error when the bus can't go on.
	Watch(ctx context.Context, b Bucket, prefix string) iter.Seq2[KVEvent, error]
}

// KVEvent is one step of a watch.
type KVEvent struct {
	Kind  KVEventKind
	Entry KVEntry
}

// KVEventKind says what a watch saw.
type KVEventKind int

// The kinds of watch events.
const (
	// KVSet: the key has this value.
	KVSet KVEventKind = iota + 1
	// KVGone: the key was deleted or expired; Entry has no value.
	KVGone
	// KVSynced: everything that was there when the watch began has been yielded; Entry is empty.
	KVSynced
)
