package bustest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func followCases() []promise {
	return []promise{
		{name: "follow/delivers what is stored from now on", run: followDelivers},
		{name: "follow/delivers its stream only", run: followApart},
		{name: "follow/one delivery at a time and none after stop", run: followStops},
		{name: "follow/live and stored entries join without loss", run: joinTails, faults: true},
		{name: "follow/fifty readers of one stream", run: manyReaders, faults: true},
		{name: "follow/goes on after the connection broke", run: followAfterCut},
	}
}

func followDelivers(t *testing.T, s *suite) {
	writing, reading := s.open(t), s.open(t)
	w := newWriter(writing, newStream(), 1)
	w.send(t, "before")

	got := make(chan *bus.Entry, 200)
	stop := must[func()](t)(reading.Follow(t.Context(), w.id, func(e *bus.Entry) { got <- e }))
	defer stop()

	// As for every reader, what Last returns after Follow is the border: behind it the broker knows of the follower,
	// of whom another connection's appends may otherwise be ahead.
	same(t, "last entry", w.last, must[*bus.Entry](t)(lastOf(t.Context(), reading, w.id)))

	const mayMiss = 1 // A live delivery may be skipped when a cluster's leader moves, and readers repair that.

	missed := 0

	for i := range 100 {
		want := w.send(t, fmt.Sprint("chunk ", i))
		if i%10 != 0 { // Let several be on their way.
			continue
		}

		if !delivered(t, got, want) {
			missed++
		}

		if missed > mayMiss {
			t.Fatalf("%d deliveries were skipped", missed)
		}
	}
}

// delivered reports whether the entry arrives in reasonable time, or the word that something is missing.
func delivered(t *testing.T, got <-chan *bus.Entry, want *bus.Entry) bool {
	t.Helper()

	timeout := time.NewTimer(2 * time.Second)
	defer timeout.Stop()

	for {
		select {
		case e := <-got:
			if e == nil {
				return true
			}

			if e.Position == want.Position {
				same(t, "delivered", want, e)

				return true
			}
		case <-timeout.C:
			return false
		}
	}
}

func followApart(t *testing.T, s *suite) {
	b := s.open(t)
	id := newStream()
	others := []bus.StreamID{
		{Session: id.Session, Stream: id.Stream + "x"},
		{Session: id.Session + "x", Stream: id.Stream},
		{Session: id.Stream, Stream: id.Session},
	}
	got := make(chan *bus.Entry, 100)
	stop := must[func()](t)(b.Follow(t.Context(), id, func(e *bus.Entry) { got <- e }))
	defer stop()

	for _, other := range others {
		newWriter(b, other, 1).send(t, "another's")
	}

	want := newWriter(b, id, 1).send(t, "mine")
	same(t, "delivered", want, receive(t, "delivery", got))
}

func followStops(t *testing.T, s *suite) {
	b := s.open(t)
	w := newWriter(b, newStream(), 1)

	for round := range 20 {
		var (
			inside  atomic.Int32
			stopped atomic.Bool
		)

		first := make(chan struct{}, 1)
		stop := must[func()](t)(b.Follow(t.Context(), w.id, func(*bus.Entry) {
			if inside.Add(1) != 1 {
				t.Error("two deliveries at once")
			}

			select {
			case first <- struct{}{}:
				pause(t.Context()) // Time enough for stop to be called meanwhile.
			default:
			}

			if stopped.Load() {
				t.Error("delivery after stop, or stop did not wait for one")
			}

			inside.Add(-1)
		}))

		var writing sync.WaitGroup
		writing.Go(func() {
			for i := range 10 {
				if err := w.put(t.Context(), w.frame(fmt.Sprint(round, i))); err != nil {
					t.Error(err)
				}
			}
		})

		receive(t, "first delivery", first)
		stop()
		stopped.Store(true)
		writing.Wait()
	}
}

func joinTails(t *testing.T, s *suite) {
	const n = 300

	writing, reading := s.open(t), s.open(t)
	id := newStream()
	w := newWriter(writing, id, 1)
	ctx := within(t)
	frames := script(id, 7, n)

	var readers sync.WaitGroup

	for i, f := range frames {
		if i%60 == 0 { // Readers join at the beginning, in the middle and before the end.
			readers.Go(func() { s.wantTail(ctx, t, reading, id, frames) })
		}

		if err := w.put(ctx, f); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
	}

	readers.Wait()
	s.wantTail(ctx, t, reading, id, frames)
}

// wantTail reads a stream to its end and compares what came with what was written.
func (s *suite) wantTail(ctx context.Context, t *testing.T, b bus.Bus, id bus.StreamID, frames []*bus.Frame) {
	t.Helper()

	got, err := newTail(b, id).run(ctx, s.faults != nil)
	if err != nil {
		t.Errorf("tail: %v", err)

		return
	}

	if len(got) != len(frames) {
		t.Errorf("tail has %d entries, want %d", len(got), len(frames))

		return
	}

	for i := range got {
		same(t, fmt.Sprint("entry ", i), *frames[i], got[i].Frame)
	}
}

func manyReaders(t *testing.T, s *suite) {
	writing, reading := s.open(t), s.open(t)
	id := newStream()
	w := newWriter(writing, id, 1)
	ctx := within(t)
	frames := script(id, 8, 60)

	var readers, listening sync.WaitGroup
	for range 50 {
		listening.Add(1)
		readers.Go(func() {
			stop, err := newTail(reading, id).follow(ctx) // Two subscriptions each, of which one ends early.
			if err != nil {
				t.Error(err)
			} else {
				stop()
			}

			listening.Done()
			s.wantTail(ctx, t, reading, id, frames)
		})
	}
	listening.Wait()

	for i, f := range frames {
		if err := w.put(ctx, f); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
	}

	readers.Wait()
}

func followAfterCut(t *testing.T, s *suite) {
	if s.Cut == nil {
		t.Skip(noCut)
	}

	writing, reading := s.open(t), s.open(t)
	id := newStream()
	w := newWriter(writing, id, 1)
	ctx := within(t)
	frames := script(id, 9, 120)
	done := make(chan struct{})

	go func() {
		defer close(done)
		s.wantTail(ctx, t, reading, id, frames)
	}()

	for i, f := range frames {
		if i%30 == 15 {
			s.Cut(t, reading)
		}

		if i%30 == 25 {
			s.Cut(t, writing)
		}

		if err := w.put(ctx, f); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
	}

	receive(t, "reader", done)
}
