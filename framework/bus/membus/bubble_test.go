package membus

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// serving is what a serve call was given, and when.
type serving struct {
	claim bus.Claim
	at    time.Time
}

// workInBubble works on component c until the bus is closed or lapses; its serve calls last as long as their contexts.
func workInBubble(t *testing.T, b *Bus) <-chan serving {
	t.Helper()

	got := make(chan serving)

	go func() {
		_ = b.Work(t.Context(), "c", bus.WorkConfig{Lease: time.Second}, func(ctx context.Context, c bus.Claim) {
			select {
			case got <- serving{claim: c, at: time.Now()}:
				<-ctx.Done()
			case <-ctx.Done():
			}
		})
	}()

	return got
}

// In a bubble time is exact, so take-overs and delays are, too.
func TestLeasesAndDelaysInABubble(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		broker := NewBroker(Config{})
		one, two, three := broker.Open(), broker.Open(), broker.Open()
		begun := time.Now()

		if err := one.Post(t.Context(), &bus.Letter{ID: "l", Component: "c", Session: "s"}); err != nil {
			t.Fatal(err)
		}

		first := <-workInBubble(t, one)
		got := workInBubble(t, two)

		<-time.After(time.Minute) // The lease is renewed as long as the bus is open.

		if err := one.Close(t.Context()); err != nil {
			t.Error(err)
		}

		second := <-got
		if took := second.at.Sub(begun); took != time.Minute+time.Second {
			t.Errorf("taken over after %v, want a minute and the lease", took)
		}

		if _, err := first.claim.Next(t.Context()); err == nil {
			t.Error("a closed bus gives out letters")
		}

		two.Lapse()

		others := workInBubble(t, three)
		third := <-others

		if took := third.at.Sub(second.at); took != time.Second {
			t.Errorf("taken over from a paused worker after %v, want the lease", took)
		}

		if err := third.claim.Release(t.Context(), time.Hour); err != nil {
			t.Error(err)
		}

		if took := (<-others).at.Sub(third.at); took != time.Hour {
			t.Errorf("handed out %v after it was released for an hour", took)
		}

		for _, b := range []*Bus{two, three} {
			if err := b.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestKeysExpireInABubble(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		b := New(Config{})
		begun := time.Now()

		if _, err := b.Set(t.Context(), bus.Registry, "a.b", []byte("1"), 0, time.Minute); err != nil {
			t.Fatal(err)
		}

		for e, err := range b.Watch(t.Context(), bus.Registry, "a") {
			if err != nil {
				t.Fatal(err)
			}

			if e.Kind == bus.KVGone {
				break
			}
		}

		if took := time.Since(begun); took != time.Minute {
			t.Errorf("expired after %v, want a minute", took)
		}
	})
}

func TestSlowWatchKeepsTheLastOfEachKey(t *testing.T) {
	t.Parallel()

	k := &bucket{items: make(map[string]*item), watches: make(map[*watch]struct{})}
	b := NewBroker(Config{})
	w := k.open(b, "")

	for i := range 5 * compactOver {
		for _, key := range []string{"a", "b"} {
			k.revision++
			k.tell(bus.KVEvent{Kind: bus.KVSet, Entry: bus.KVEntry{Key: key, Revision: k.revision}})

			if len(w.queue) > w.limit {
				t.Fatalf("%d changes wait after %d rounds", len(w.queue), i)
			}
		}
	}

	last := make(map[string]uint64)

	events, _ := k.take(b, w)
	for _, e := range events {
		if e.Entry.Revision < last[e.Entry.Key] {
			t.Errorf("revision %d after %d", e.Entry.Revision, last[e.Entry.Key])
		}

		last[e.Entry.Key] = e.Entry.Revision
	}

	if last["a"] != k.revision-1 || last["b"] != k.revision || events[0].Kind != bus.KVSynced {
		t.Errorf("have %v at revision %d, beginning with %+v", last, k.revision, events[0])
	}
}

func TestDoneOfAnotherLetterIsInvalid(t *testing.T) {
	t.Parallel()

	b := New(Config{})
	for _, id := range []string{"one", "two"} {
		if err := b.Post(t.Context(), &bus.Letter{ID: id, Component: "c", Session: "s"}); err != nil {
			t.Fatal(err)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	err := b.Work(ctx, "c", bus.WorkConfig{}, func(ctx context.Context, c bus.Claim) {
		defer cancel()

		l, err := c.Next(ctx)
		if err != nil {
			t.Error(err)

			return
		}

		l.Position.Minor++
		if err := c.Done(ctx, l); err == nil {
			t.Error("a letter behind the oldest one was done")
		}
	})
	if err != nil {
		t.Error(err)
	}
}
