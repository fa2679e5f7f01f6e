package natsbus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// watchSpread is over how long watches that were lost at the same moment are opened again.
const watchSpread = 200 * time.Millisecond

// errEnough ends a watch whose caller has enough.
var errEnough = errors.New("enough")

// Watch yields the keys under a prefix and their changes; see [bus.KV]. A key that is the prefix itself is under it.
//
// It has a consumer of the bucket, and begins anew with another one when that is lost: at once when the connection was
// restored, and after a few seconds when another server was lost. Of what happened in between the last change of each
// key is yielded.
func (b *Bus) Watch(ctx context.Context, bucket bus.Bucket, prefix string) iter.Seq2[bus.KVEvent, error] {
	return func(yield func(bus.KVEvent, error) bool) {
		w, err := b.newWatch(bucket, prefix)
		if err == nil {
			w.yield = func(e bus.KVEvent) error {
				if ctx.Err() != nil || !yield(e, nil) {
					return errEnough
				}

				return nil
			}
			err = w.run(ctx)
		}

		if err != nil && ctx.Err() == nil && !errors.Is(err, errEnough) {
			yield(bus.KVEvent{}, fmt.Errorf("watch %.40s %.80s: %w", bucket, prefix, err))
		}
	}
}

// watch is one call of Watch. Each time that it begins anew it reads what is there, merges that by revision into what
// it has yielded, and goes on with the changes.
type watch struct {
	bus      *Bus
	jsStream string
	keys     string   // what the subjects of keys begin with
	filters  []string // subjects
	yield    func(bus.KVEvent) error

	known  map[string]mark // what was yielded and is there
	latest uint64          // the greatest revision that was seen
	synced bool            // that was yielded, too
	round  int             // of reading what is there
}

// mark is the revision of a key that was yielded, and the round in which it was seen last.
type mark struct {
	revision uint64
	round    int
}

func (b *Bus) newWatch(bucket bus.Bucket, prefix string) (*watch, error) {
	if bucket != bus.Registry && bucket != bus.Sessions {
		return nil, fmt.Errorf("there is no such bucket: %w", bus.ErrInvalid)
	}

	name := b.ns.Bucket(string(bucket))
	w := &watch{bus: b, jsStream: bucketPrefix + name, keys: kvSubjects(name), known: map[string]mark{}}

	if prefix == "" {
		w.filters = []string{w.keys + ">"}

		return w, nil
	}

	w.filters = []string{w.keys + prefix, w.keys + prefix + ".>"}

	return w, checkKey(prefix)
}

// run begins anew whenever the feed is lost.
func (w *watch) run(ctx context.Context) error {
	for try := 0; ; try++ {
		restored, err := w.bus.connected(ctx)
		if err != nil {
			return err
		}

		told, err := w.follow(ctx, restored)
		if !passing(err) {
			return err
		}

		if told {
			try = 0
		}

		w.bus.log.Debug().Err(err).Str("jetstream", w.jsStream).Msg("reading what is there for a watch")

		if err := w.wait(ctx, try); err != nil {
			return err
		}
	}
}

// wait waits before the feed is opened again, with jitter: everybody's is lost at the same moment.
func (w *watch) wait(ctx context.Context, try int) error {
	spread := time.NewTimer(rand.N(watchSpread))
	defer spread.Stop()

	select {
	case <-spread.C:
		return backoff(ctx, try)
	case <-w.bus.closing:
		return w.bus.closedError()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// follow reads what is there, then changes until the feed is lost. It reports whether it told all that is there.
func (w *watch) follow(ctx context.Context, restored <-chan struct{}) (told bool, err error) {
	f, quiet, err := w.bus.openFeed(ctx, w.jsStream, w.filters, restored)
	if err != nil {
		return false, err
	}
	defer f.close()

	// The feed may come from a server that lags behind: all that there is has come when nothing more is stored there and
	// what the leader has is among it.
	until, err := w.begin(ctx)
	if err != nil {
		return false, err
	}

	for at := uint64(0); ; {
		if !told && quiet && at >= until {
			told = true

			if err := w.sync(until); err != nil {
				return told, err
			}
		}

		got, err := f.next(ctx)
		if err != nil {
			return told, err
		}

		quiet = got.last || got.entry == nil

		switch {
		case got.entry != nil:
			at = got.seq
			err = w.apply(got)
		case !told: // what the leader had may have been removed since
			until, err = w.leaderLast(ctx)
		}

		if err != nil {
			return told, err
		}
	}
}

// begin begins a round and returns the last revision that the leader knows. One that was greater before says that the
// server has lost data: what was yielded is not what is there, whatever its revision.
func (w *watch) begin(ctx context.Context) (uint64, error) {
	last, err := w.leaderLast(ctx)
	if err != nil {
		return 0, err
	}

	w.round++

	if last < w.latest {
		for key := range w.known {
			w.known[key] = mark{}
		}

		w.latest = last
	}

	return last, nil
}

// leaderLast returns the revision of the last change under the prefix as the leader knows it.
func (w *watch) leaderLast(ctx context.Context) (uint64, error) {
	last := uint64(0)

	for _, filter := range w.filters {
		m, err := w.bus.lastMsg(ctx, w.jsStream, filter)
		if err != nil {
			return 0, err
		}

		if m != nil {
			last = max(last, m.Seq)
		}
	}

	return last, nil
}

// sync ends a round: what was yielded before and was not seen is gone.
func (w *watch) sync(revision uint64) error {
	for key, m := range w.known {
		if m.round == w.round {
			continue
		}

		if err := w.gone(key, revision); err != nil {
			return err
		}
	}

	if w.synced {
		return nil
	}

	w.synced = true

	return w.yield(bus.KVEvent{Kind: bus.KVSynced})
}

// apply yields an entry unless it or a later one of its key was.
func (w *watch) apply(got fed) error {
	key := strings.TrimPrefix(got.entry.Subject, w.keys)
	have := w.known[key]
	w.latest = max(w.latest, got.seq)

	switch {
	case got.seq <= have.revision:
		w.known[key] = mark{have.revision, w.round}

		return nil
	case gone(got.entry.Header):
		return w.gone(key, got.seq)
	}

	w.known[key] = mark{got.seq, w.round}

	return w.yield(bus.KVEvent{
		Kind: bus.KVSet, Entry: bus.KVEntry{Key: key, Value: got.entry.Data, Revision: got.seq},
	})
}

// gone yields that a key is gone unless nobody knew it.
func (w *watch) gone(key string, revision uint64) error {
	if _, known := w.known[key]; !known {
		return nil
	}

	delete(w.known, key)

	return w.yield(bus.KVEvent{Kind: bus.KVGone, Entry: bus.KVEntry{Key: key, Revision: revision}})
}
