package redisbus

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// watching passes on the events of a watch until the test ends. What is not received holds the watch up.
func watching(tb testing.TB, b *Bus, prefix string) <-chan bus.KVEvent {
	tb.Helper()

	ctx, cancel := context.WithCancel(tb.Context())
	events, over := make(chan bus.KVEvent), make(chan struct{})

	go func() {
		defer close(over)

		for e, err := range b.Watch(ctx, bus.Registry, prefix) {
			if err != nil {
				tb.Errorf("watch: %v", err)

				return
			}

			select {
			case events <- e:
			case <-ctx.Done():
			}
		}
	}()

	tb.Cleanup(func() {
		cancel()
		receive(tb, "end of the watch", over)
	})

	return events
}

// wantEvent receives an event without looking at its revision.
func wantEvent(tb testing.TB, from <-chan bus.KVEvent, kind bus.KVEventKind, key, value string) bus.KVEntry {
	tb.Helper()

	e := receive(tb, "event", from)
	if e.Kind != kind || e.Entry.Key != key || string(e.Entry.Value) != value {
		tb.Fatalf("event is %v of %q, value %.40q; want %v of %q, value %.40q",
			e.Kind, e.Entry.Key, e.Entry.Value, kind, key, value)
	}

	return e.Entry
}

func setKey(tb testing.TB, b *Bus, key, value string, revision uint64) uint64 {
	tb.Helper()

	return must(b.Set(tb.Context(), bus.Registry, key, []byte(value), revision, 0))(tb)
}

// A watch reads what is there in pages.
func TestWatchManyKeys(t *testing.T) {
	t.Parallel()

	const n = 2*watchPageKeys + 10

	b := single(t)
	for i := range n {
		setKey(t, b, fmt.Sprintf("k.%04d", i), "v", 0)
	}

	setKey(t, b, "k", "not under it", 0)
	setKey(t, b, "k-.x", "not under it", 0)
	setKey(t, b, "k0.x", "not under it", 0)

	events := watching(t, b, "k")
	for i := range n {
		wantEvent(t, events, bus.KVSet, fmt.Sprintf("k.%04d", i), "v")
	}

	wantEvent(t, events, bus.KVSynced, "", "")
}

// Values that are too large for a notice, and for a page with others, come whole.
func TestWatchLargeValues(t *testing.T) {
	t.Parallel()

	b := single(t)
	large := string(bytes.Repeat([]byte("0123456789abcde\xff"), watchPageBytes/16))
	a := setKey(t, b, "k.a", large, 0)
	setKey(t, b, "k.b", large, 0)

	events := watching(t, b, "k")
	wantEvent(t, events, bus.KVSet, "k.a", large)
	wantEvent(t, events, bus.KVSet, "k.b", large)
	wantEvent(t, events, bus.KVSynced, "", "")

	setKey(t, b, "k.a", large[1:], a)
	wantEvent(t, events, bus.KVSet, "k.a", large[1:])
}

// A watch that can't keep up sees the last value of each key, and what is gone.
func TestWatchOverflow(t *testing.T) {
	t.Parallel()

	b := single(t)
	gone := setKey(t, b, "k.gone", "v", 0)
	events := watching(t, b, "k")
	wantEvent(t, events, bus.KVSet, "k.gone", "v")
	wantEvent(t, events, bus.KVSynced, "", "")

	rev := setKey(t, b, "k.a", "first", 0)
	for i := range watchQueue + 10 {
		rev = setKey(t, b, "k.a", fmt.Sprint(i), rev)
	}

	if err := b.Delete(t.Context(), bus.Registry, "k.gone", gone); err != nil {
		t.Fatal(err)
	}

	last, sawGone := "", false
	for last != fmt.Sprint(watchQueue+9) || !sawGone {
		e := receive(t, "event", events)
		if e.Kind == bus.KVGone {
			sawGone = e.Entry.Key == "k.gone"
		} else {
			last = string(e.Entry.Value)
		}
	}
}

// What waits for a watch is bounded, and what was left out is read again.
func TestWatchQueue(t *testing.T) {
	t.Parallel()

	b := single(t)
	setKey(t, b, "k.a", "v", 0)

	w, got := stepped(t, b)
	if err := w.step(t.Context()); err != nil {
		t.Fatal(err)
	}

	for range watchQueue + 1 {
		w.receive(&message{payload: "set 9 0 k.b v"})
	}

	if len(w.queue) != 0 || !w.missed {
		t.Errorf("%d changes wait, missed is %v", len(w.queue), w.missed)
	}

	if err := w.step(t.Context()); err != nil {
		t.Fatal(err)
	}

	if len(*got) != 2 || (*got)[0].Entry.Key != "k.a" || (*got)[1].Kind != bus.KVSynced {
		t.Errorf("yielded %+v, want what is there and synced", *got)
	}
}

// Revisions that are lower than before are those of a server that lost the last of its data.
func TestWatchLowerRevisions(t *testing.T) {
	t.Parallel()

	url := redistest.Run(t, redistest.Options{}).URL()
	b := open(t, Config{URL: url})
	setKey(t, b, "k.a", "2", setKey(t, b, "k.a", "1", 0))

	w, got := stepped(t, b)
	if err := w.step(t.Context()); err != nil {
		t.Fatal(err)
	}

	c := admin(t, url)
	must(c.FlushAll(t.Context()).Result())(t)
	must(c.Set(t.Context(), w.keys.Revision, 1, 0).Result())(t)
	setKey(t, b, "k.a", "again", 0)
	w.lost()

	if err := w.step(t.Context()); err != nil {
		t.Fatal(err)
	}

	if last := (*got)[len(*got)-1]; string(last.Entry.Value) != "again" || last.Entry.Revision != 2 {
		t.Errorf("the last event is %+v", last)
	}
}

// stepped returns a watch that goes on when it is told to, and what it yields.
func stepped(tb testing.TB, b *Bus) (*watch, *[]bus.KVEvent) {
	tb.Helper()

	var got []bus.KVEvent

	w := must(b.newWatch(tb.Context(), bus.Registry, "k", func(e bus.KVEvent) error {
		got = append(got, e)

		return nil
	}))(tb)

	return w, &got
}

// Changes that are made while a watch is cut off are seen when it is connected again.
func TestWatchAfterCut(t *testing.T) {
	t.Parallel()

	url := redistest.Run(t, redistest.Options{}).URL()
	other, name := open(t, Config{URL: url}), named()
	b := open(t, Config{URL: url, Name: name})
	one, two := setKey(t, other, "k.1", "v", 0), setKey(t, other, "k.2", "v", 0)

	events := watching(t, b, "k")
	wantEvent(t, events, bus.KVSet, "k.1", "v")
	wantEvent(t, events, bus.KVSet, "k.2", "v")
	wantEvent(t, events, bus.KVSynced, "", "")

	cut(t, admin(t, url), name)
	setKey(t, other, "k.1", "new", one)

	if err := other.Delete(t.Context(), bus.Registry, "k.2", two); err != nil {
		t.Fatal(err)
	}

	got := map[string]bus.KVEvent{}
	for len(got) < 2 {
		e := receive(t, "event", events)
		got[e.Entry.Key] = e
	}

	if string(got["k.1"].Entry.Value) != "new" || got["k.2"].Kind != bus.KVGone {
		t.Errorf("got %+v", got)
	}
}

// When the server lost its data, a watch says that the keys are gone. One that comes again has a later revision than
// before, so that nobody takes it for the one that is gone.
func TestWatchAfterLoss(t *testing.T) {
	t.Parallel()

	server := redistest.Run(t, redistest.Options{})
	b := open(t, Config{URL: server.URL()})

	var rev uint64
	for i := range 10 {
		rev = setKey(t, b, "k.a", fmt.Sprint(i), rev)
	}

	events := watching(t, b, "k")
	wantEvent(t, events, bus.KVSet, "k.a", "9")
	wantEvent(t, events, bus.KVSynced, "", "")
	server.Kill()
	server.Start()
	wantEvent(t, events, bus.KVGone, "k.a", "")

	setKey(t, open(t, Config{URL: server.URL()}), "k.a", "again", 0)

	if e := wantEvent(t, events, bus.KVSet, "k.a", "again"); e.Revision <= rev {
		t.Errorf("revision %d, want one above %d", e.Revision, rev)
	}
}

// Keys that nobody watches leave when others are set.
func TestExpiredKeysLeave(t *testing.T) {
	t.Parallel()

	url := redistest.Run(t, redistest.Options{}).URL()
	b := open(t, Config{URL: url})

	for i := range 5 {
		must(b.Set(t.Context(), bus.Registry, fmt.Sprint("k.", i), nil, 0, time.Second))(t)
	}

	receive(t, "more than a second", time.After(1100*time.Millisecond))
	setKey(t, b, "other", "v", 0)

	keys := b.ns.RedisBucket("registry")
	c := admin(t, url)

	if n := must(c.HLen(t.Context(), keys.Values).Result())(t); n != 1 {
		t.Errorf("%d values, want 1", n)
	}

	if n := must(c.ZCard(t.Context(), keys.Keys).Result())(t); n != 1 {
		t.Errorf("%d keys, want 1", n)
	}

	if n := must(c.ZCard(t.Context(), keys.Expiry).Result())(t); n != 0 {
		t.Errorf("%d keys that expire, want none", n)
	}
}

// A notice is read as it was written, and nothing else is one.
func TestParseNotice(t *testing.T) {
	t.Parallel()

	n, ok := parseNotice("set 7 2000000 a.b a value with spaces\r\n")
	want := notice{kind: noticeSet, ttl: 2 * time.Second, entry: bus.KVEntry{
		Key: "a.b", Value: []byte("a value with spaces\r\n"), Revision: 7,
	}}

	if !ok || fmt.Sprintf("%+v", n) != fmt.Sprintf("%+v", want) {
		t.Errorf("notice is %+v, %v; want %+v", n, ok, want)
	}

	for _, bad := range []string{"", "set", "set 7 0 a", "set x 0 a v", "set 7 x a v", "hello world this is text"} {
		if n, ok := parseNotice(bad); ok {
			t.Errorf("%q is %+v", bad, n)
		}
	}
}
