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
	// headerRevision is the revision of a key whose entry was stored again only to last longer: that of the first one.
	headerRevision = "Ww-Revision"
	kvPurge        = "PURGE"
	maxKeyIDs      = 8
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

	return bus.KVEntry{Key: key, Value: m.Data, Revision: revisionOf(m.Header, m.Seq)}, nil
}

// revisionOf returns the revision of a key by its entry: the sequence of that, or of the one that it renews.
func revisionOf(h nats.Header, seq uint64) uint64 {
	if revision, err := strconv.ParseUint(value(h, headerRevision), 10, 64); err == nil && revision < seq {
		return revision
	}

	return seq
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
	if err := checkTTL(ttl); err != nil {
		return 0, fmt.Errorf("set %s %s: %w", bucket, key, err)
	}
	if len(value) > maxBody(b.nc) {
		return 0, fmt.Errorf("set %s %s: value of %d bytes: %w", bucket, key, len(value), bus.ErrTooLarge)
	}
	seq, err := b.update(ctx, at, kvMsg(at, value, ttl), revision)
	if err != nil {
		return 0, fmt.Errorf("set %s %s: %w", bucket, key, err)
	}

	return seq, nil
}

// checkTTL takes whole seconds, 0 for ever.
func checkTTL(ttl time.Duration) error {
	if ttl < 0 || ttl%time.Second != 0 {
		return fmt.Errorf("a time to live of %v is not whole seconds: %w", ttl, bus.ErrInvalid)
	}

	return nil
}

func kvMsg(at kvPlace, value []byte, ttl time.Duration) *nats.Msg {
	m := &nats.Msg{Subject: at.publish, Header: nats.Header{}, Data: value}
	if ttl > 0 {
		m.Header[headerTTL] = []string{strconv.FormatInt(int64(ttl/time.Second), 10) + "s"}
	}

	return m
}

// Renew makes a key last longer; see [bus.KV]. The server can only store the entry once more, which gives it another
// sequence; a header keeps the revision.
func (b *Bus) Renew(ctx context.Context, bucket bus.Bucket, key string, ttl time.Duration) error {
	at, err := b.kvPlace(bucket, key)
	if err != nil {
		return fmt.Errorf("renew key: %w", err)
	}
	if err := checkTTL(ttl); err != nil {
		return fmt.Errorf("renew %s %s: %w", bucket, key, err)
	}
	for try := 0; ; try++ {
		err := b.renew(ctx, at, ttl)
		if err == nil {
			return nil
		}
		if !errors.Is(err, bus.ErrConflict) || b.pause(ctx, try) != nil {
			return fmt.Errorf("renew %s %s: %w", bucket, key, err)
		}
	}
}

// renew stores the last entry of a key again. It fails with [bus.ErrConflict] when another one was stored meanwhile.
func (b *Bus) renew(ctx context.Context, at kvPlace, ttl time.Duration) error {
	there, err := b.lastMsg(ctx, at.jsStream, at.subject)
	if err != nil {
		return err
	}
	if there == nil || gone(there.Header) {
		return bus.ErrNotFound
	}
	m := kvMsg(at, there.Data, ttl)
	m.Header[headerRevision] = []string{strconv.FormatUint(revisionOf(there.Header, there.Seq), 10)}
	expectLast(m, there.Seq)
	_, err = b.publishKV(ctx, m)

	return err
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

// updateTries bounds how often an update looks for what stands in its way: a leader that answers from the past does so for
// a moment only, and who renews keys is there a few times a day.
const updateTries = 20

// update publishes m if its key is at the revision. The last entry of a key may have a later sequence than that and be no
// obstacle: one that only renews what is at the revision, or, where the key should not exist, a marker that it is gone.
func (b *Bus) update(ctx context.Context, at kvPlace, m *nats.Msg, revision uint64) (uint64, error) {
	expectLast(m, revision)
	seq, err := b.publishKV(ctx, m)
	for try, known := 0, revision; errors.Is(err, bus.ErrConflict) && try < updateTries; try++ {
		there, getErr := b.lastMsg(ctx, at.jsStream, at.subject)
		if getErr != nil {
			return 0, getErr
		}
		if there == nil || stands(there) != revision {
			return 0, err
		}
		if there.Seq <= known && b.pause(ctx, try) != nil { // the leader answered from the past
			return 0, err
		}
		known = max(known, there.Seq)
		expectLast(m, known)
		seq, err = b.publishKV(ctx, m)
	}

	return seq, err
}

// stands returns the revision at which the last entry of a key says that it is; 0: it is gone.
func stands(there *stored) uint64 {
	if gone(there.Header) {
		return 0
	}

	return revisionOf(there.Header, there.Seq)
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
