package redisbus

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/keyview"
	"github.com/woodwork-go/woodwork/subjects"
)

const (
	// watchQueue is how many changes wait for a watch before it reads the bucket again instead.
	watchQueue = 1024
	// watchPageKeys and watchPageBytes bound a part of the snapshot, so that no script takes long.
	watchPageKeys  = 256
	watchPageBytes = 1 << 20
	// watchAgain is after how long a failed look for expired keys is repeated.
	watchAgain = time.Second
)

// Watch yields the keys under a prefix and their changes; see [bus.KV]. Keys under a prefix are longer than it by at
// least one id. Of changes that a watch missed or could not keep up with only the last of each key is seen.
func (b *Bus) Watch(ctx context.Context, name bus.Bucket, prefix string) iter.Seq2[bus.KVEvent, error] {
	return keyview.Events(ctx, name, prefix, func(yield func(bus.KVEvent) error) error {
		w, err := b.newWatch(ctx, name, prefix, yield)
		if err != nil {
			return err
		}

		return w.run(ctx)
	})
}

// watch is one call of Watch. It is subscribed to the changes of its bucket before it reads what is there, and merges
// the two by revision. The server tells which key expires next; the watch then has it look, and hears of what it found
// as of any change.
type watch struct {
	bus   *Bus
	keys  subjects.RedisBucket
	under string // what its keys begin with
	from  string // the range of its keys
	to    string
	view  *keyview.View
	floor uint64    // revision of the bucket when what is there was read
	next  time.Time // when to have the server look for expired keys; zero: never

	mu     sync.Mutex
	queue  []notice
	missed bool
	wake   chan struct{} // holds one token while there may be something new
}

func (b *Bus) newWatch(
	ctx context.Context, name bus.Bucket, prefix string, yield func(bus.KVEvent) error,
) (*watch, error) {
	w := &watch{bus: b, view: keyview.New(yield), from: "-", to: "+", wake: make(chan struct{}, 1), missed: true}

	key := "any"
	if prefix != "" {
		key = prefix
		w.under, w.from, w.to = prefix+".", "["+prefix+".", "("+prefix+"/" // '/' follows '.'
	}

	var err error
	if w.keys, err = b.bucket(name, key); err != nil {
		return nil, err
	}

	return w, b.ready(ctx)
}

func (w *watch) run(ctx context.Context) error {
	stop, err := w.bus.hub.subscribe(ctx, w.keys.Changes, w.receive, w.lost)
	if err != nil {
		return err
	}
	defer stop()

	for try := 0; ; {
		err := w.step(ctx)

		switch {
		case err == nil:
			try = 0
			err = w.wait(ctx)
		case passing(err):
			w.lost()

			err = backoff(ctx, try)
			try++
		}

		if w.bus.isClosing() {
			return bus.ErrClosed
		}

		if err != nil {
			return err
		}
	}
}

// step yields everything that is new.
func (w *watch) step(ctx context.Context) error {
	if w.resync() {
		if err := w.read(ctx); err != nil {
			return err
		}
	}

	for _, n := range w.take() {
		if err := w.apply(ctx, n); err != nil {
			return err
		}
	}

	return w.expire(ctx)
}

// wait waits for a change or until a key expires.
func (w *watch) wait(ctx context.Context) error {
	var expiry <-chan time.Time

	if !w.next.IsZero() {
		timer := time.NewTimer(time.Until(w.next))
		defer timer.Stop()

		expiry = timer.C
	}

	select {
	case <-w.wake:
		return nil
	case <-expiry:
		return nil
	case <-w.bus.closing:
		return bus.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// expire has the server look for expired keys when it is time, and asks when the next time is.
func (w *watch) expire(ctx context.Context) error {
	if w.next.IsZero() || time.Now().Before(w.next) {
		return nil
	}

	w.next = time.Now().Add(watchAgain)

	answer, err := w.bus.run(ctx, w.bus.scripts.kvExpire,
		[]string{w.keys.Values, w.keys.Keys, w.keys.Expiry, w.keys.Revision}, w.keys.Changes)

	switch wait := verdict(answer); {
	case passing(err):
		return nil
	case err != nil:
		return err
	case wait < 0:
		w.next = time.Time{}
	default:
		w.next = time.Now().Add(time.Duration(wait) * time.Microsecond)
	}

	return nil
}

// read yields what is there and was not yielded, and then what was yielded and is not there.
func (w *watch) read(ctx context.Context) error {
	w.next = time.Now()

	for from, first := w.from, true; ; first = false {
		page, err := w.bus.runList(ctx, w.bus.scripts.kvList, 2, []string{w.keys.Values, w.keys.Keys, w.keys.Revision},
			from, w.to, watchPageBytes, watchPageKeys)
		if err != nil {
			return err
		}

		if first {
			w.floor = uint64(verdict(page))
			w.view.Begin(w.floor)
			w.view.Saw(w.floor)
		}

		if err := w.readPage(page[2:]); err != nil {
			return err
		}

		last, _ := page[1].(string)
		if last == "" {
			break
		}

		from = "(" + last
	}

	return w.view.End(w.floor)
}

func (w *watch) readPage(page []any) error {
	for ; len(page) >= 3; page = page[3:] {
		key, _ := page[0].(string)

		e, err := kvEntry(key, page[1:3])
		if err != nil {
			return err
		}

		if err := w.view.Set(e); err != nil {
			return err
		}
	}

	return nil
}

// notice is one change as a script publishes it.
type notice struct {
	kind  string
	entry bus.KVEntry
	ttl   time.Duration
}

// The kinds of notices. A large one says that the value must be asked for.
const (
	noticeSet   = "set"
	noticeLarge = "large"
	noticeGone  = "gone"
)

// parseNotice reads kind, revision, time to live in microseconds, key and value.
func parseNotice(payload string) (notice, bool) {
	parts := strings.SplitN(payload, " ", 5)
	if len(parts) != 5 {
		return notice{}, false
	}

	revision, revisionErr := strconv.ParseUint(parts[1], 10, 64)
	ttl, ttlErr := strconv.ParseInt(parts[2], 10, 64)
	n := notice{
		kind: parts[0], ttl: time.Duration(ttl) * time.Microsecond,
		entry: bus.KVEntry{Key: parts[3], Value: []byte(parts[4]), Revision: revision},
	}

	return n, revisionErr == nil && ttlErr == nil
}

// receive queues a change.
func (w *watch) receive(m *message) {
	n, ok := parseNotice(m.payload)
	if ok && !strings.HasPrefix(n.entry.Key, w.under) {
		return
	}

	w.mu.Lock()
	defer w.mu.Unlock()

	if !ok || len(w.queue) >= watchQueue {
		w.missed, w.queue = true, nil
	}

	if !w.missed {
		w.queue = append(w.queue, n)
	}

	w.poke()
}

// lost says that changes may have been missed.
func (w *watch) lost() {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.missed, w.queue = true, nil
	w.poke()
}

func (w *watch) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// resync reports whether changes were missed. Those that come from now on are queued again.
func (w *watch) resync() bool {
	w.mu.Lock()
	defer w.mu.Unlock()

	missed := w.missed
	w.missed = false

	return missed
}

func (w *watch) take() []notice {
	w.mu.Lock()
	defer w.mu.Unlock()

	q := w.queue
	w.queue = nil

	return q
}

// apply yields a change, unless reading what is there saw it.
func (w *watch) apply(ctx context.Context, n notice) error {
	if n.entry.Revision <= w.floor {
		return nil
	}

	if at := time.Now().Add(n.ttl); n.ttl > 0 && (w.next.IsZero() || at.Before(w.next)) {
		w.next = at
	}

	switch n.kind {
	case noticeGone:
		return w.view.Gone(n.entry.Key, n.entry.Revision)
	case noticeSet:
		return w.view.Set(n.entry)
	default:
		e, err := w.bus.get(ctx, w.keys, n.entry.Key)
		if errors.Is(err, bus.ErrNotFound) {
			return nil // its notice follows
		}

		if err != nil {
			return err
		}

		return w.view.Set(e)
	}
}
