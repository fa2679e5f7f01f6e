package bustest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func watchCases() []promise {
	return []promise{
		{name: "watch/present keys, synced, then changes", run: watchAll},
		{name: "watch/of nothing is synced at once", run: watchNothing},
		{name: "watch/a prefix is whole ids", run: watchPrefix},
		{name: "watch/every key", run: watchEverything},
		{name: "watch/ends with its context", run: watchEnds},
		{name: "watch/the last value is seen however fast keys change", run: watchFast},
	}
}

// Watch collects the events of a watch until the test ends.
func Watch(t *testing.T, b bus.Bus, bucket bus.Bucket, prefix string) <-chan bus.KVEvent {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())
	events, over := make(chan bus.KVEvent, 10_000), make(chan struct{})

	go func() {
		defer close(over)

		for e, err := range b.Watch(ctx, bucket, prefix) {
			if err != nil {
				t.Errorf("watch: %v", err)

				return
			}

			events <- e
		}
	}()

	t.Cleanup(func() {
		cancel()
		receive(t, "end of the watch", over)
	})

	return events
}

// watchFor watches the registry under a prefix and passes on the events of one kind. It returns when it is synced.
func watchFor(t *testing.T, b bus.Bus, prefix string, kind bus.KVEventKind) <-chan bus.KVEvent {
	t.Helper()

	all, wanted := Watch(t, b, bus.Registry, prefix), make(chan bus.KVEvent, 100)
	skipTo(t, all, func(e bus.KVEvent) bool { return e.Kind == bus.KVSynced })

	ctx := t.Context()

	go func() {
		for {
			select {
			case e := <-all:
				if e.Kind == kind {
					wanted <- e
				}
			case <-ctx.Done():
				return
			}
		}
	}()

	return wanted
}

func watchAll(t *testing.T, s *suite) {
	b, prefix := s.open(t), newID("k")
	set := func(key, value string, rev uint64) bus.KVEvent {
		rev = must[uint64](t)(b.Set(t.Context(), bus.Sessions, prefix+key, []byte(value), rev, 0))

		return bus.KVEvent{
			Kind: bus.KVSet, Entry: bus.KVEntry{Key: prefix + key, Value: []byte(value), Revision: rev},
		}
	}

	one := set(".one", "1", 0)
	two := set(".two", "2", 0)
	two = set(".two", "22", two.Entry.Revision)
	dead := set(".dead", "3", 0)

	if err := b.Delete(t.Context(), bus.Sessions, dead.Entry.Key, 0); err != nil {
		t.Fatal(err)
	}

	events := Watch(t, s.open(t), bus.Sessions, prefix)
	there := make(map[string]bus.KVEvent)

	e := receive(t, "event", events)
	for ; e.Kind == bus.KVSet; e = receive(t, "event", events) {
		there[e.Entry.Key] = e
	}

	same(t, "present keys", map[string]bus.KVEvent{one.Entry.Key: one, two.Entry.Key: two}, there)

	if e.Kind != bus.KVSynced {
		t.Fatalf("the present keys end with %+v", e)
	}

	same(t, "end of the present keys", bus.KVEvent{Kind: bus.KVSynced}, e)

	for i := range 20 {
		one = set(".one", strconv.Itoa(i), one.Entry.Revision)
		same(t, "change", one, receive(t, "change", events))
	}

	if err := b.Delete(t.Context(), bus.Sessions, two.Entry.Key, two.Entry.Revision); err != nil {
		t.Fatal(err)
	}

	if e := receive(t, "deletion", events); e.Kind != bus.KVGone || e.Entry.Key != two.Entry.Key || len(e.Entry.Value) != 0 {
		t.Errorf("deletion is %+v", e)
	}

	again := set(".two", "again", 0)
	same(t, "made again", again, receive(t, "change", events))
}

func watchNothing(t *testing.T, s *suite) {
	events := Watch(t, s.open(t), bus.Registry, newID("none"))
	same(t, "first event", bus.KVEvent{Kind: bus.KVSynced}, receive(t, "event", events))
}

func watchPrefix(t *testing.T, s *suite) {
	b, prefix := s.open(t), newID("k")
	events := Watch(t, s.open(t), bus.Sessions, prefix+".a")
	same(t, "first event", bus.KVEvent{Kind: bus.KVSynced}, receive(t, "event", events))

	for _, key := range []string{".b.c", ".aa.b", "x.a.b", ".A.b", ".a.b", ".a.b.c.d", ".ab"} {
		must[uint64](t)(b.Set(t.Context(), bus.Sessions, prefix+key, nil, 0, 0))
	}

	must[uint64](t)(b.Set(t.Context(), bus.Sessions, prefix+".a.end", nil, 0, 0))

	for _, want := range []string{".a.b", ".a.b.c.d", ".a.end"} {
		same(t, "key", prefix+want, receive(t, "event", events).Entry.Key)
	}
}

func watchEverything(t *testing.T, s *suite) {
	b, one, two := s.open(t), newID("k")+".a.b", newID("k")
	must[uint64](t)(b.Set(t.Context(), bus.Sessions, one, nil, 0, 0))

	events := Watch(t, b, bus.Sessions, "")
	seen := make(map[string]bool)

	for e := receive(t, "event", events); e.Kind != bus.KVSynced; e = receive(t, "event", events) {
		seen[e.Entry.Key] = true
	}

	if !seen[one] {
		t.Errorf("the present keys don't hold %s", one)
	}

	must[uint64](t)(b.Set(t.Context(), bus.Sessions, two, nil, 0, 0))

	skipTo(t, events, func(e bus.KVEvent) bool { return e.Entry.Key == two }) // Other cases use the bucket, too.
}

func watchEnds(t *testing.T, s *suite) {
	b := s.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)

	go func() {
		var end error

		for _, err := range b.Watch(ctx, bus.Sessions, newID("k")) {
			end = err
			cancel() // At synced.
		}

		over <- end
	}()

	if err := receive(t, "end of the watch", over); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("watch ended with %v", err)
	}

	for _, err := range b.Watch(t.Context(), bus.Sessions, newID("k")) {
		if err != nil {
			t.Errorf("watch: %v", err)
		}

		break // A loop may just end.
	}
}

func watchFast(t *testing.T, s *suite) {
	const keys, changes = 5, 60

	b, prefix := s.open(t), newID("k")
	events := Watch(t, s.open(t), bus.Registry, prefix)
	revisions := make([]uint64, keys)

	for n := range changes {
		for k := range keys {
			key := fmt.Sprint(prefix, ".", k)
			revisions[k] = must[uint64](t)(
				b.Set(t.Context(), bus.Registry, key, fmt.Append(nil, n), revisions[k], time.Hour))
		}
	}

	before := make(map[string]uint64)

	for left := keys; left > 0; {
		e := receive(t, "event", events)
		if e.Kind == bus.KVSynced {
			continue
		}

		if e.Entry.Revision <= before[e.Entry.Key] {
			t.Errorf("revision %d of %s after %d", e.Entry.Revision, e.Entry.Key, before[e.Entry.Key])
		}

		before[e.Entry.Key] = e.Entry.Revision
		if string(e.Entry.Value) == strconv.Itoa(changes-1) {
			left--
		}
	}
}
