package bustest

import (
	"context"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func restartCases() []promise {
	return []promise{
		{name: "restart/what was acknowledged is there", run: restartKeeps},
		{name: "restart/followers, watchers and workers go on", run: restartGoesOn},
		{name: "restart/a watch tells soon what has changed, and nothing else", run: restartWatched},
	}
}

const noRestart = "nothing of this broker outlives its process"

func restartKeeps(t *testing.T, s *suite) {
	if s.Restart == nil {
		t.Skip(noRestart)
	}

	s = s.alone(t)
	b := s.open(t)
	kept := keep(t, b)

	s.Restart(t, func() {})
	kept.want(t, s.open(t))
	kept.want(t, b)
	kept.goOn(t, b)
}

func restartGoesOn(t *testing.T, s *suite) {
	if s.Restart == nil {
		t.Skip(noRestart)
	}

	const half, all = 30, 60

	s = s.alone(t)
	ctx := within(t)
	writing, reading, working := s.open(t), s.open(t), s.open(t)

	id, component, session, key := newStream(), newID("c"), newID("s"), newID("k")
	w, frames := newWriter(writing, id, 1), script(id, 10, all)

	set := watchFor(t, reading, key, bus.KVSet)
	got := make(chan string, 100)
	work(t, working, component, bus.WorkConfig{}, serveAll(t, func(l *bus.Letter) { got <- l.ID }))

	mustPost(t, writing, component, session, 0, 1)
	skipTo(t, got, func(id string) bool { return id == "turn-0" })

	read, written, begun := make(chan struct{}), make(chan struct{}), make(chan struct{})

	go func() {
		defer close(read)
		s.wantTail(ctx, t, reading, id, frames)
	}()

	go func() {
		defer close(written)

		for i, f := range frames {
			if i == half {
				close(begun)
			}

			if err := w.put(ctx, f); err != nil {
				t.Errorf("frame %d: %v", i, err)

				return
			}
		}
	}()

	receive(t, "half of the frames", begun)
	s.Restart(t, func() {})
	receive(t, "writer", written)
	receive(t, "reader", read)

	mustPost(t, writing, component, session, 1, 3)
	skipTo(t, got, func(id string) bool { return id == "turn-2" })

	answer(ctx, t, func() (uint64, error) { return writing.Set(ctx, bus.Registry, key+".a", []byte("new"), 0, 0) })
	skipTo(t, set, func(e bus.KVEvent) bool { return e.Entry.Key == key+".a" && string(e.Entry.Value) == "new" })
}

// watchSoon is how long after a broker can be used again a change may take to a watch that was open before: less than a
// watch that waits for signs of life, much more than one that is told of the connection.
const watchSoon = 5 * time.Second

func restartWatched(t *testing.T, s *suite) {
	if s.Restart == nil {
		t.Skip(noRestart)
	}

	s = s.alone(t)
	ctx := within(t)
	b, prefix := s.open(t), newID("k")
	events := Watch(t, s.open(t), bus.Registry, prefix)

	same(t, "first event", bus.KVEvent{Kind: bus.KVSynced}, receive(t, "event", events))

	for key, ttl := range map[string]time.Duration{".a": time.Hour, ".b": time.Hour, ".short": 2 * time.Second} {
		same(t, "key", setKey(ctx, t, b, prefix+key, ttl), receive(t, "event", events))
	}

	s.Restart(t, func() {})

	up := time.Now()
	fresh := setKey(ctx, t, b, prefix+".fresh", time.Hour)
	seen := map[string]bus.KVEventKind{}

	for len(seen) < 2 {
		e := receive(t, "event", events)
		seen[e.Entry.Key] = e.Kind

		if took := time.Since(up); e.Entry.Key == fresh.Entry.Key && took > watchSoon {
			t.Errorf("a change was seen %v after the broker was back", took)
		}
	}

	want := map[string]bus.KVEventKind{prefix + ".fresh": bus.KVSet, prefix + ".short": bus.KVGone}
	same(t, "what has changed", want, seen)
	same(t, "next change", setKey(ctx, t, b, prefix+".next", time.Hour), receive(t, "event", events))
}

// setKey makes a key, whose value is its name, and returns what a watch says of that.
func setKey(ctx context.Context, t *testing.T, b bus.Bus, key string, ttl time.Duration) bus.KVEvent {
	t.Helper()

	revision := answer(ctx, t, func() (uint64, error) { return b.Set(ctx, bus.Registry, key, []byte(key), 0, ttl) })

	return bus.KVEvent{Kind: bus.KVSet, Entry: bus.KVEntry{Key: key, Value: []byte(key), Revision: revision}}
}
