package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
)

// wantEvents receives events of these kinds and keys.
func wantEvents(t *testing.T, events <-chan bus.KVEvent, kindAndKey ...any) {
	t.Helper()

	for i := 0; i < len(kindAndKey); i += 2 {
		if e := receive(t, "event", events); e.Kind != kindAndKey[i] || e.Entry.Key != kindAndKey[i+1] {
			t.Fatalf("event %d of %s, want %d of %s", e.Kind, e.Entry.Key, kindAndKey[i], kindAndKey[i+1])
		}
	}
}

// TestWatchHasAConsumer: of its own, which is gone when the watch ends, and made again when it is gone before. What the
// watch has told it doesn't tell again.
func TestWatchHasAConsumer(t *testing.T) {
	t.Parallel()

	const present = 3*feedBatch + 1

	b := single(t)
	jsStream := must(b.js.Stream(t.Context(), bucketPrefix+b.ns.Bucket(string(bus.Sessions))))(t)
	consumers := func() (names []string) {
		for name := range jsStream.ConsumerNames(t.Context()).Name() {
			names = append(names, name)
		}

		return names
	}

	for n := range present {
		must(b.Set(t.Context(), bus.Sessions, fmt.Sprint("s.", n), nil, 0, 0))(t)
	}

	events := bustest.Watch(t, b, bus.Sessions, "s")
	for n := range present {
		wantEvents(t, events, bus.KVSet, fmt.Sprint("s.", n))
	}

	wantEvents(t, events, bus.KVSynced, "")

	names := consumers()
	if len(names) != 1 {
		t.Fatalf("the bucket has consumers %v", names)
	}

	if err := jsStream.DeleteConsumer(t.Context(), names[0]); err != nil {
		t.Fatal(err)
	}

	if err := b.Delete(t.Context(), bus.Sessions, "s.7", 0); err != nil {
		t.Fatal(err)
	}

	wantEvents(t, events, bus.KVGone, "s.7")
	must(b.Set(t.Context(), bus.Sessions, "s.new", nil, 0, 0))(t)
	wantEvents(t, events, bus.KVSet, "s.new")

	for range b.Watch(t.Context(), bus.Sessions, "none") {
		break
	}

	begun := time.Now()
	for names := consumers(); len(names) != 1; names = consumers() {
		if time.Since(begun) > feedIdle/2 {
			t.Fatalf("the bucket has consumers %v", names)
		}
	}
}

// TestFeedNoticesLoss takes deliveries away from a feed, and then all that the server says.
func TestFeedNoticesLoss(t *testing.T) {
	t.Parallel()

	b := single(t)
	name := b.ns.Bucket(string(bus.Sessions))
	feedOf := func() *feed {
		f, empty, err := b.openFeed(t.Context(), bucketPrefix+name, []string{kvSubjects(name) + ">"}, b.restored.next())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.close)

		if empty {
			t.Error("it begins with no entry")
		}

		return f
	}
	lost := func(f *feed, why string) {
		t.Helper()

		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()

		var err error
		for err == nil {
			_, err = f.next(ctx)
		}

		if !errors.Is(err, errFeedLost) || !strings.Contains(err.Error(), why) {
			t.Errorf("the feed ended with %v, want %v: %s", err, errFeedLost, why)
		}
	}
	set := func(key string) { must(b.Set(t.Context(), bus.Sessions, key, nil, 0, 0))(t) }

	set("a")

	f := feedOf()
	if err := f.ask(); err != nil {
		t.Fatal(err)
	}
	<-f.queue
	lost(f, "0 of 1 deliveries have come")

	f = feedOf()
	if err := f.ask(); err != nil {
		t.Fatal(err)
	}
	<-f.queue
	set("b")
	lost(f, "delivery 2 follows 0")

	f = feedOf()
	f.subject = "nobody.answers"
	must(b.nc.Subscribe(f.subject, func(*nats.Msg) {}))(t)
	lost(f, "nothing was heard")

	f = feedOf()
	must(f.next(t.Context()))(t)

	if err := b.nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}

	lost(f, "the connection broke")
}
