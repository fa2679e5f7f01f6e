package bustest

import (
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func fenceCases() []promise {
	return []promise{
		{name: "fence/append behind anything but the last entry conflicts", run: staleConflicts},
		{name: "fence/of two appends at once one wins", run: oneWins},
		{name: "fence/what is begun is decided like what is waited for", run: begunIsDecided, faults: true},
		{name: "fence/a later attempt ends the earlier one", run: takeOverFences, faults: true},
		{name: "fence/many attempts leave a log in order", run: manyAttempts, faults: true},
	}
}

func staleConflicts(t *testing.T, s *suite) {
	b := s.open(t)
	w := newWriter(b, newStream(), 1)
	first, second := w.send(t, "a"), w.send(t, "b")

	for what, after := range map[string]*bus.Entry{"nil": nil, "an earlier entry": first} {
		f := w.frame("x")
		f.Writer = "another"
		_, err := b.Append(t.Context(), f, after)
		wantErr(t, "append behind "+what, err, bus.ErrConflict)
	}

	empty := newWriter(b, newStream(), 1)
	expired := *second
	expired.ID = empty.id
	_, err := b.Append(t.Context(), empty.frame("x"), &expired)
	wantErr(t, "append behind an entry to an empty log", err, bus.ErrConflict)

	w.send(t, "c")
	wantLog(t, b, w.id, 3)
	wantLog(t, b, empty.id, 0)
}

func oneWins(t *testing.T, s *suite) {
	buses := []bus.Bus{s.open(t), s.open(t)}
	id := newStream()

	var last *bus.Entry

	for round := range uint32(50) {
		entries, errs := make([]*bus.Entry, len(buses)), make([]error, len(buses))

		var racing sync.WaitGroup
		for i, b := range buses {
			w := newWriter(b, id, round+1)
			w.last = last

			racing.Go(func() { entries[i], errs[i] = store(t.Context(), b, w.frame(strconv.Itoa(i)), last) })
		}
		racing.Wait()

		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("round %d: %v and %v, want one of them to win", round, errs[0], errs[1])
		}

		wantErr(t, "loser", errors.Join(errs...), bus.ErrConflict)

		if last = entries[0]; errs[0] != nil {
			last = entries[1]
		}
	}

	wantLog(t, buses[0], id, 50)
}

// outcome is what became of an append that was begun.
type outcome struct {
	entry *bus.Entry
	err   error
}

// begin begins an append and returns where its outcome comes.
func begin(t *testing.T, b bus.Bus, f *bus.Frame, after *bus.Entry) <-chan outcome {
	t.Helper()

	starter, ok := b.(bus.Starter)
	if !ok {
		starter = Faulty(b, FaultConfig{}) // on which every append can be begun
	}

	got := make(chan outcome, 2)
	if err := starter.Start(f, after, func(e *bus.Entry, err error) { got <- outcome{e, err} }); err != nil {
		t.Fatalf("begin to append: %v", err)
	}

	return got
}

func begunIsDecided(t *testing.T, s *suite) {
	b := s.open(t)
	w := newWriter(b, newStream(), 1)
	w.send(t, "a")

	for i := range 20 {
		f := w.frame(strconv.Itoa(i))
		got := receive(t, "outcome", begin(t, b, f, w.last))

		if got.err != nil { // it may have been stored or not: what is repeated finds out
			if !errors.Is(got.err, bus.ErrUnknown) && !errors.Is(got.err, bus.ErrBusy) {
				t.Fatalf("append: %v", got.err)
			}

			got.entry = must[*bus.Entry](t)(store(t.Context(), b, f, w.last))
		}

		if !got.entry.Same(f) {
			t.Errorf("the entry is %+v, want that of %+v", got.entry, f)
		}

		before := w.last
		w.stored(got.entry)

		stale := w.frame("stale")
		stale.Writer = "another"

		if got := receive(t, "outcome", begin(t, b, stale, before)); got.err == nil || errors.Is(got.err, bus.ErrClosed) {
			t.Errorf("append behind an earlier entry: %+v, %v", got.entry, got.err)
		}
	}

	wantLog(t, b, w.id, 21)
}

// takeOverFences: the earlier attempt is faster several times, then both write at once, and in the end it is over.
func takeOverFences(t *testing.T, s *suite) {
	id := newStream()
	ctx := within(t)
	zombie, next := newWriter(s.open(t), id, 1), newWriter(s.open(t), id, 2)
	zombie.send(t, "zombie")

	for range 3 {
		last := must[*bus.Entry](t)(lastOf(ctx, next.bus, id))
		zombie.send(t, "was faster")

		next.last, next.next = last, 10
		wantErr(t, "attempt behind what was read", next.put(ctx, next.frame()), bus.ErrConflict)
	}

	over := make(chan error, 1)

	go func() {
		err := zombie.put(ctx, zombie.frame("at once"))
		if err == nil {
			err = zombie.put(ctx, zombie.frame("too late"))
		}

		over <- err
	}()

	if err := next.takeOver(ctx, 10); err != nil {
		t.Fatal(err)
	}

	err := receive(t, "zombie", over)
	if err == nil { // it wrote both before
		err = zombie.put(ctx, zombie.frame("too late"))
	}

	wantErr(t, "zombie", err, bus.ErrConflict)
	next.send(t, "answer")
	next.end(t)

	all := readAll(t, next.bus, id)
	wantLog(t, next.bus, id, len(all))

	for _, e := range all[len(all)-3:] {
		if e.Attempt != 2 {
			t.Errorf("entry of attempt %d behind the beginning of attempt 2", e.Attempt)
		}
	}
}

func manyAttempts(t *testing.T, s *suite) {
	id := newStream()
	ctx := within(t)

	var (
		writers sync.WaitGroup
		mu      sync.Mutex
		next    uint32
	)

	// Attempts are given out under a lock, as a mailbox does, but the writers overlap as zombies do.
	fight := func(b bus.Bus) error {
		for range 10 {
			mu.Lock()
			next++
			w := newWriter(b, id, next)
			err := w.takeOver(ctx, 0)
			mu.Unlock()

			for i := 0; i < 5 && err == nil; i++ {
				err = w.put(ctx, w.frame(strconv.Itoa(i)))
			}

			if err != nil && !errors.Is(err, bus.ErrConflict) {
				return err
			}
		}

		return nil
	}

	for range 3 {
		b := s.open(t)
		writers.Go(func() {
			if err := fight(b); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()

	b := s.open(t)
	all := readAll(t, b, id)
	wantLog(t, b, id, len(all))

	begun := 0
	for i, e := range all {
		if e.Begin {
			begun++
		}

		if i > 0 && e.Attempt < all[i-1].Attempt {
			t.Errorf("attempt %d behind %d", e.Attempt, all[i-1].Attempt)
		}
	}

	if begun != 30 {
		t.Errorf("%d attempts began, want 30", begun)
	}
}
