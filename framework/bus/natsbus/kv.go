package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

const (
	bucketPrefix      = "KV_"
	headerKVOperation = "KV-Operation"
	headerMarker      = "Nats-Marker-Reason"
	kvPurge           = "PURGE"
	maxKeyIDs         = 8
)

// kvSubjects returns what the subjects of a bucket's keys begin with.
func kvSubjects(bucket string) string { return "$KV." + bucket + "." }

// kvPlace is a key in the broker.
type kvPlace struct {
	jsStream string
	subject  string // of the stored entry
	publish  string // the subject to publish to, which differs where JetStream is in another domain
}

func (b *Bus) kvPlace(bucket bus.Bucket, key string) (kvPlace, error) {
	if bucket != bus.Registry && bucket != bus.Sessions {
		return kvPlace{}, fmt.Errorf("there is no bucket %.40q: %w", string(bucket), bus.ErrInvalid)
	}
	if err := checkKey(key); err != nil {
		return kvPlace{}, err
	}
	name := b.ns.Bucket(string(bucket))
	subject := kvSubjects(name) + key
	if len(subject) > subjects.MaxSubject {
		return kvPlace{}, fmt.Errorf("the key is %d bytes too long: %w", len(subject)-subjects.MaxSubject, bus.ErrInvalid)
	}

	return kvPlace{jsStream: bucketPrefix + name, subject: subject, publish: b.kvPrefix + subject[len("$KV."):]}, nil
}

// checkKey takes one to eight ids joined by dots.
func checkKey(key string) error {
	ids := 0
	for id := range strings.SplitSeq(key, ".") {
		ids++
		if err := subjects.CheckID("key part", id); err != nil || ids > maxKeyIDs {
			return fmt.Errorf("a key is 1 to %d ids joined by dots: %w: %w", maxKeyIDs, bus.ErrInvalid, err)
		}
	}

	return nil
}

// Get returns a key's value from the leader; see [bus.KV].
func (b *Bus) Get(ctx context.Context, bucket bus.Bucket, key string) (bus.KVEntry, error) {
	at, err := b.kvPlace(bucket, key)
	if err != nil {
		return bus.KVEntry{}, fmt.Errorf("get key: %w", err)
	}
	m, err := b.lastMsg(ctx, at.jsStream, at.subject)
	if err != nil {
		return bus.KVEntry{}, fmt.Errorf("get %s %s: %w", bucket, key, err)
	}
	if m == nil || gone(m.Header) {
		return bus.KVEntry{}, fmt.Errorf("get %s %s: %w", bucket, key, bus.ErrNotFound)
	}

	return bus.KVEntry{Key: key, Value: m.Data, Revision: m.Seq}, nil
}

// gone reports whether an entry marks a key as deleted or expired.
func gone(h nats.Header) bool {
	return value(h, headerKVOperation) != "" || value(h, headerMarker) != ""
}

// Set stores a value on condition of the key's revision; see [bus.KV].
func (b *Bus) Set(
	ctx context.Context, bucket bus.Bucket, key string, value []byte, revision uint64, ttl time.Duration,
) (uint64, error) {
	at, err := b.kvPlace(bucket, key)
	if err != nil {
		return 0, fmt.Errorf("set key: %w", err)
	}
	if ttl < 0 || ttl%time.Second != 0 {
		return 0, fmt.Errorf("set %s %s: a time to live of %v is not whole seconds: %w", bucket, key, ttl, bus.ErrInvalid)
	}
	if len(value) > maxBody(b.nc) {
		return 0, fmt.Errorf("set %s %s: value of %d bytes: %w", bucket, key, len(value), bus.ErrTooLarge)
	}
	m := &nats.Msg{Subject: at.publish, Header: nats.Header{}, Data: value}
	if ttl > 0 {
		m.Header[headerTTL] = []string{strconv.FormatInt(int64(ttl/time.Second), 10) + "s"}
	}
	seq, err := b.update(ctx, at, m, revision)
	if err != nil {
		return 0, fmt.Errorf("set %s %s: %w", bucket, key, err)
	}

	return seq, nil
}

// Delete removes a key on condition of its revision; see [bus.KV]. A marker stays behind for a while, for watchers.
func (b *Bus) Delete(ctx context.Context, bucket bus.Bucket, key string, revision uint64) error {
	at, err := b.kvPlace(bucket, key)
	if err != nil {
		return fmt.Errorf("delete key: %w", err)
	}
	m := &nats.Msg{Subject: at.publish, Header: nats.Header{
		headerKVOperation: {kvPurge},
		headerTTL:         {strconv.Itoa(int(markerTTL/time.Second)) + "s"},
	}}
	if revision == 0 {
		_, err = b.publishKV(ctx, m)
	} else {
		_, err = b.update(ctx, at, m, revision)
	}
	if err != nil {
		return fmt.Errorf("delete %s %s: %w", bucket, key, err)
	}

	return nil
}

// update publishes m if its key is at the revision. Where the key should not exist, a marker that it is gone is no
// obstacle.
func (b *Bus) update(ctx context.Context, at kvPlace, m *nats.Msg, revision uint64) (uint64, error) {
	expectLast(m, revision)
	seq, err := b.publishKV(ctx, m)
	if revision != 0 {
		return seq, err
	}
	for marker := uint64(0); errors.Is(err, bus.ErrConflict); {
		there, getErr := b.lastMsg(ctx, at.jsStream, at.subject)
		if getErr != nil {
			return 0, getErr
		}
		if there == nil || !gone(there.Header) || there.Seq <= marker {
			return 0, err
		}
		marker = there.Seq
		expectLast(m, marker)
		seq, err = b.publishKV(ctx, m)
	}

	return seq, err
}

// publishKV publishes m, again for as long as another write to its key is being decided.
func (b *Bus) publishKV(ctx context.Context, m *nats.Msg) (uint64, error) {
	for t := b.tries(); ; {
		seq, err := b.publish(ctx, m)
		if !errors.Is(err, bus.ErrBusy) {
			return seq, err
		}
		if end := t.again(ctx, err); end != nil {
			return 0, end
		}
	}
}
