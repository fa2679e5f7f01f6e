package natsbus

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/internal/keyview"
)

// watchSpread is over how long watches that were lost at the same moment are opened again.
const watchSpread = 200 * time.Millisecond

// Watch yields the keys under a prefix and their changes; see [bus.KV]. A key that is the prefix itself is under it.
//
// It has a consumer of the bucket, and begins anew with another one when that is lost: at once when the connection was
// restored, and after a few seconds when another server was lost. Of what happened in between the last change of each
// key is yielded.
func (b *Bus) Watch(ctx context.Context, bucket bus.Bucket, prefix string) iter.Seq2[bus.KVEvent, error] {
	return keyview.Events(ctx, bucket, prefix, func(yield func(bus.KVEvent) error) error {
		w, err := b.newWatch(bucket, prefix, yield)
		if err != nil {
			return err
		}

		return w.run(ctx)
	})
}

// watch is one call of Watch. Each time that it begins anew it reads what is there, merges that by revision into what
// it has yielded, and goes on with the changes.
type watch struct {
	bus      *Bus
	jsStream string
	keys     string   // what the subjects of keys begin with
	filters  []string // subjects
	view     *keyview.View
}

func (b *Bus) newWatch(bucket bus.Bucket, prefix string, yield func(bus.KVEvent) error) (*watch, error) {
	if bucket != bus.Registry && bucket != bus.Sessions {
		return nil, fmt.Errorf("there is no such bucket: %w", bus.ErrInvalid)
	}

	name := b.ns.Bucket(string(bucket))
	w := &watch{bus: b, jsStream: bucketPrefix + name, keys: kvSubjects(name), view: keyview.New(yield)}

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
		return w.bus.pause(ctx, try)
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
	until, err := w.leaderLast(ctx)
	if err != nil {
		return false, err
	}

	w.view.Begin(until)

	for at := uint64(0); ; {
		if !told && quiet && at >= until {
			told = true

			if err := w.view.End(until); err != nil {
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

// apply merges an entry. A marker that is not newer than what was yielded says only that its key was seen.
func (w *watch) apply(got fed) error {
	key := strings.TrimPrefix(got.entry.Subject, w.keys)
	if gone(got.entry.Header) && w.view.Newer(key, got.seq) {
		return w.view.Gone(key, got.seq)
	}

	w.view.Saw(got.seq) // which may be later than the key's revision

	return w.view.Set(bus.KVEntry{Key: key, Value: got.entry.Data, Revision: revisionOf(got.entry.Header, got.seq)})
}
