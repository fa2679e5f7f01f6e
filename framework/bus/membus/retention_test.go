package membus

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func frameAt(id bus.StreamID, n uint64) *bus.Frame {
	return &bus.Frame{ID: id, Attempt: 1, Writer: "w", First: n, Lengths: []int{4}, Type: bus.Text, Body: []byte("body")}
}

// fill appends n frames and returns the last entry.
func fill(t *testing.T, b *Bus, id bus.StreamID, after *bus.Entry, n int) *bus.Entry {
	t.Helper()

	for range n {
		first := uint64(0)
		if after != nil {
			first = after.End().Index
		}

		e, err := b.Append(t.Context(), frameAt(id, first), after)
		if err != nil {
			t.Fatal(err)
		}

		after = e
	}

	return after
}

// logs counts the logs that a broker holds.
func (b *Broker) logs() int {
	n := 0
	for i := range b.shards {
		n += len(b.shards[i].logs)
	}

	return n
}

func TestEntriesExpire(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		b := New(Config{MaxAge: time.Hour})
		id := bus.StreamID{Session: "s", Stream: "t"}

		fill(t, b, id, nil, 3)
		<-time.After(40 * time.Minute)

		last, err := b.Last(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}

		last = fill(t, b, id, last, 2)
		<-time.After(40 * time.Minute)

		n := 0

		for _, err := range b.Read(t.Context(), last, bus.Cursor{}) {
			if err != nil {
				t.Fatal(err)
			}

			n++
		}

		if n != 2 {
			t.Errorf("log holds %d entries when the first three have expired, want 2", n)
		}

		<-time.After(time.Hour)

		if e, err := b.Last(t.Context(), id); e != nil || err != nil {
			t.Errorf("last entry after all have expired is %v, %v", e, err)
		}

		for _, err := range b.Read(t.Context(), last, bus.Cursor{}) {
			if !errors.Is(err, bus.ErrNotFound) {
				t.Errorf("read of what has expired: %v", err)
			}
		}

		if _, err := b.Append(t.Context(), frameAt(id, 5), last); !errors.Is(err, bus.ErrConflict) {
			t.Errorf("append behind what has expired: %v", err)
		}

		if held := b.broker.bytes.Load(); held != 0 {
			t.Errorf("broker holds %d bytes", held)
		}
	})
}

func TestAbandonedLogsAreSwept(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		b := New(Config{MaxAge: time.Hour})

		for i := range 1000 {
			fill(t, b, bus.StreamID{Session: "old", Stream: fmt.Sprint(i)}, nil, 1)
		}

		<-time.After(2 * time.Hour)

		// Writers of other streams come by every shard.
		for i := range 1000 {
			fill(t, b, bus.StreamID{Session: "new", Stream: fmt.Sprint(i)}, nil, 1)
		}

		if n := b.broker.logs(); n != 1000 {
			t.Errorf("broker holds %d logs, want the 1000 new ones", n)
		}
	})
}

func TestFullBrokerRefuses(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		b := New(Config{MaxAge: time.Hour, MaxBytes: 10 * (itemBytes + 20)})
		id := bus.StreamID{Session: "s", Stream: "t"}
		last := fill(t, b, id, nil, 10)

		for what, call := range map[string]func(context.Context) error{
			"append": func(ctx context.Context) error {
				_, err := b.Append(ctx, frameAt(id, 10), last)

				return err
			},
			"post": func(ctx context.Context) error {
				return b.Post(ctx, &bus.Letter{ID: "l", Component: "c", Session: "s"})
			},
			"set": func(ctx context.Context) error {
				_, err := b.Set(ctx, bus.Sessions, "k", nil, 0, 0)

				return err
			},
		} {
			if err := call(t.Context()); !errors.Is(err, bus.ErrFull) {
				t.Errorf("%s: %v, want %v", what, err, bus.ErrFull)
			}
		}

		if e, err := b.Last(t.Context(), id); err != nil || e != last {
			t.Errorf("last entry is %v, %v", e, err)
		}

		<-time.After(2 * time.Hour)
		fill(t, b, bus.StreamID{Session: "s", Stream: "other"}, nil, 10)
	})
}

func TestNothingIsHeldWhenNothingIsThere(t *testing.T) {
	t.Parallel()

	b := New(Config{})
	l := &bus.Letter{ID: "l", Component: "c", Session: "s", Body: []byte("body"), Trace: map[string]string{"a": "b"}}

	for range 2 { // The second one is dropped.
		if err := b.Post(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	err := b.Work(ctx, "c", bus.WorkConfig{}, func(ctx context.Context, c bus.Claim) {
		got, err := c.Next(ctx)
		if err != nil {
			t.Error(err)
		}

		for range 2 { // The second one is harmless.
			if err := c.Done(ctx, got); err != nil {
				t.Error(err)
			}
		}

		if got, err := c.Next(ctx); got != nil || err != nil {
			t.Errorf("next letter is %v, %v", got, err)
		}

		cancel()
	})
	if err != nil {
		t.Error(err)
	}

	rev, err := b.Set(t.Context(), bus.Sessions, "k", []byte("value"), 0, 0)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := b.Set(t.Context(), bus.Sessions, "k", []byte("longer value"), rev, time.Second); err != nil {
		t.Fatal(err)
	}

	if err := b.Delete(t.Context(), bus.Sessions, "k", 0); err != nil {
		t.Fatal(err)
	}

	stop, err := b.Follow(t.Context(), bus.StreamID{Session: "s", Stream: "t"}, func(*bus.Entry) {})
	if err != nil {
		t.Fatal(err)
	}

	stop()

	if held, logs := b.broker.bytes.Load(), b.broker.logs(); held != 0 || logs != 0 {
		t.Errorf("broker holds %d bytes and %d logs", held, logs)
	}

	if c := b.broker.component("c"); len(c.boxes) != 0 || len(c.ready) != 0 || len(c.workers) != 0 {
		t.Errorf("component holds %+v", c)
	}
}
