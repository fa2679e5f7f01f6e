// Package keyview is what the watches of keys have in common that read what is there, follow the changes, and begin anew
// when they may have missed some.
package keyview

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// errEnough ends a watch whose caller has enough.
var errEnough = errors.New("enough")

// Events returns the events that run yields until the caller has enough or ctx ends, for which yield fails, and then why
// run failed otherwise.
func Events(
	ctx context.Context, bucket bus.Bucket, prefix string, run func(yield func(bus.KVEvent) error) error,
) iter.Seq2[bus.KVEvent, error] {
	return func(yield func(bus.KVEvent, error) bool) {
		err := run(func(e bus.KVEvent) error {
			if ctx.Err() != nil || !yield(e, nil) {
				return errEnough
			}

			return nil
		})

		if err != nil && ctx.Err() == nil && !errors.Is(err, errEnough) {
			yield(bus.KVEvent{}, fmt.Errorf("watch %.40s %.80s: %w", bucket, prefix, err))
		}
	}
}

// View is what one watch has yielded. What is there is read in rounds, each between Begin and End, and merged into it by
// revision, as the changes are. It is used by one goroutine at a time.
type View struct {
	yield  func(bus.KVEvent) error
	known  map[string]mark // what was yielded and is there
	latest uint64          // the greatest revision that was seen
	synced bool            // that was yielded, too
	round  int
}

// mark is the revision of a key that was yielded, and the round in which it was seen last.
type mark struct {
	revision uint64
	round    int
}

// New returns the view of a watch that has yielded nothing.
func New(yield func(bus.KVEvent) error) *View { return &View{yield: yield, known: map[string]mark{}} }

// Begin begins a round; last is the last revision that the broker knows. One that was greater before says that the broker
// has lost data: what was yielded is not what is there, whatever its revision.
func (v *View) Begin(last uint64) {
	v.round++

	if last < v.latest {
		for key := range v.known {
			v.known[key] = mark{}
		}

		v.latest = last
	}
}

// Saw notes that the broker had come to a revision.
func (v *View) Saw(revision uint64) { v.latest = max(v.latest, revision) }

// Newer reports whether a key at a revision is news.
func (v *View) Newer(key string, revision uint64) bool { return revision > v.known[key].revision }

// Set yields an entry unless it or a later one was.
func (v *View) Set(e bus.KVEntry) error {
	newer := v.Newer(e.Key, e.Revision)
	v.known[e.Key] = mark{max(v.known[e.Key].revision, e.Revision), v.round}
	v.Saw(e.Revision)

	if !newer {
		return nil
	}

	return v.yield(bus.KVEvent{Kind: bus.KVSet, Entry: e})
}

// Gone yields that a key is gone unless nobody knew it.
func (v *View) Gone(key string, revision uint64) error {
	v.Saw(revision)

	if _, known := v.known[key]; !known {
		return nil
	}

	delete(v.known, key)

	return v.yield(bus.KVEvent{Kind: bus.KVGone, Entry: bus.KVEntry{Key: key, Revision: revision}})
}

// End ends a round: what was yielded before and was not seen is gone, at the revision at which that was read. After the
// first round it yields that the watch is in step.
func (v *View) End(revision uint64) error {
	for key, m := range v.known {
		if m.round == v.round {
			continue
		}

		if err := v.Gone(key, revision); err != nil {
			return err
		}
	}

	if v.synced {
		return nil
	}

	v.synced = true

	return v.yield(bus.KVEvent{Kind: bus.KVSynced})
}
