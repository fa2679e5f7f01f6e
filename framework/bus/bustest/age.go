package bustest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// ageCases are about logs that lose their oldest entries, or all of them, while someone writes, reads and follows them.
func ageCases() []promise {
	return []promise{
		{name: "age/a log loses its oldest entries and goes on", run: aged(headExpires)},
		{name: "age/what was written before a pause goes in time", run: aged(pausedLogExpires)},
		{name: "age/a log that expired begins anew", run: aged(logExpires)},
		{name: "age/a log that was wiped begins anew", run: aged(logWiped)},
		{name: "age/an entry that is gone is not read, whatever has its place", run: aged(lostIsNotRead)},
		{name: "age/a follower hears of every life of a log", run: aged(followLives)},
		{name: "age/letters and keys don't expire with logs", run: aged(othersStay)},
		{name: "age/dead letters expire by an age of their own", run: aged(deadExpire)},
		{name: "age/any history of appends, pauses and losses", run: agedHistories},
	}
}

// aged runs a case on a broker that keeps entries for a short time, or a bubble's.
func aged(run func(t *testing.T, s *suite)) func(*testing.T, *suite) {
	return func(t *testing.T, s *suite) {
		if s.Aged == nil {
			t.Skip("this broker can't be told how long to keep entries")
		}

		test := func(t *testing.T) {
			own := *s
			own.Harness = s.Aged(t, s.features.Age)
			run(t, &own)
		}

		if s.features.Virtual {
			synctest.Test(t, test)
		} else {
			test(t)
		}
	}
}

// pass waits for a part of the age.
func (s *suite) pass(ctx context.Context, part, of int) {
	wait(ctx, s.features.Age*time.Duration(part)/time.Duration(of))
}

// wait waits for time to pass, which is what the cases about age are about.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// tooOld is after how long an entry must not be seen any more.
func (s *suite) tooOld() time.Duration { return s.features.Age*9/8 + s.features.AgeSlack }

// waiting is how often something is looked at that takes as long as the age.
const waiting = 64

// readFrom returns what Read yields.
func readFrom(ctx context.Context, b bus.Bus, last *bus.Entry, from bus.Cursor) ([]*bus.Entry, error) {
	var got []*bus.Entry

	for e, err := range b.Read(ctx, last, from) {
		if err != nil {
			return got, err
		}

		got = append(got, e)
	}

	return got, nil
}

// headExpires writes a log for longer than its entries are kept. A reader from the beginning gets what is there.
func headExpires(t *testing.T, s *suite) {
	ctx, b := t.Context(), s.open(t)
	w := newWriter(b, newStream(), 1)
	begun := time.Now()
	all := []*bus.Entry{w.send(t, "first"), w.send(t, "second")}
	stored := time.Now()
	lost := 0

	for lost < 2 {
		s.pass(ctx, 1, waiting)

		all = append(all, w.send(t, "more"))
		asked := time.Now()

		got, err := readFrom(ctx, b, w.last, bus.Cursor{})
		if err != nil {
			t.Fatalf("after %v: %v", time.Since(begun), err)
		}

		lost = len(all) - len(got)
		same(t, "what is left", all[lost:], got)

		if lost > 0 && time.Since(begun) < s.features.Age {
			t.Errorf("lost %d entries after %v of %v", lost, time.Since(begun), s.features.Age)
		}

		if lost < 2 && asked.Sub(stored) > s.tooOld() {
			t.Fatalf("an entry is read %v after it was stored, of %v", asked.Sub(stored), s.features.Age)
		}
	}

	// What a reader stood at is gone: it is told, or sees by where the first entry is.
	got, err := readFrom(ctx, b, w.last, bus.Cursor{Attempt: 1, Index: 1})
	if err == nil && (len(got) == 0 || got[0].First < uint64(lost)) {
		t.Errorf("a reader at what is gone got %d entries", len(got))
	} else if err != nil && !errors.Is(err, bus.ErrNotFound) {
		t.Error(err)
	}

	got, err = readFrom(ctx, b, w.last, all[len(all)-2].End())
	if err != nil || got[len(got)-1].Position != w.last.Position {
		t.Errorf("a reader at the end got %d entries, %v", len(got), err)
	}
}

// pausedLogExpires writes a second entry just before the first one is too old, and then nothing: the first one goes by
// its age, without another append.
func pausedLogExpires(t *testing.T, s *suite) {
	ctx, b := t.Context(), s.open(t)
	w := newWriter(b, newStream(), 1)

	w.send(t, "first")

	stored := time.Now()

	s.pass(ctx, 7, 8)

	second := w.send(t, "second")

	for {
		asked := time.Now()

		got, err := readFrom(ctx, b, second, bus.Cursor{})
		if err != nil {
			t.Fatal(err)
		}

		if len(got) == 1 {
			break
		}

		if asked.Sub(stored) > s.tooOld() {
			t.Fatalf("the first entry is read %v after it was stored, of %v", asked.Sub(stored), s.features.Age)
		}

		s.pass(ctx, 1, waiting)
	}
}

// awaitEmpty waits until a log holds nothing any more.
func (s *suite) awaitEmpty(t *testing.T, b bus.Bus, id bus.StreamID) {
	t.Helper()

	began := time.Now()

	for {
		asked := time.Now()
		if e := must[*bus.Entry](t)(lastOf(t.Context(), b, id)); e == nil {
			return
		}

		if asked.Sub(began) > s.tooOld() {
			t.Fatalf("the last entry is there %v after it was stored, of %v", asked.Sub(began), s.features.Age)
		}

		s.pass(t.Context(), 1, waiting)
	}
}

func logExpires(t *testing.T, s *suite) {
	beginsAnew(t, s, func(b bus.Bus, id bus.StreamID) { s.awaitEmpty(t, b, id) })
}

func logWiped(t *testing.T, s *suite) {
	beginsAnew(t, s, func(b bus.Bus, id bus.StreamID) {
		s.Wipe(t, id)
		s.awaitEmpty(t, b, id)
	})
}

// beginsAnew lets a log be lost between two appends: the writer of the first is fenced, before and after another one has
// begun the log anew.
func beginsAnew(t *testing.T, s *suite, lose func(bus.Bus, bus.StreamID)) {
	ctx, b := t.Context(), s.open(t)
	zombie := newWriter(b, newStream(), 1)

	for range 3 {
		zombie.send(t, "lost")
	}

	lose(b, zombie.id)

	_, err := b.Append(ctx, zombie.frame("late"), zombie.last)
	wantErr(t, "append behind what is gone", err, bus.ErrConflict)

	if e := must[*bus.Entry](t)(lastOf(ctx, b, zombie.id)); e != nil {
		t.Errorf("a refused append made an entry: %+v", e)
	}

	next := newWriter(b, zombie.id, 1)
	all := make([]*bus.Entry, 0, 3)

	for range cap(all) { // as many as there were: it may come to where the zombie believes to be
		all = append(all, next.send(t, "again"))
	}

	_, err = b.Append(ctx, zombie.frame("late"), zombie.last)
	wantErr(t, "append to the log that came after", err, bus.ErrConflict)

	for _, from := range []bus.Cursor{{}, {Attempt: 1, Index: 1}} {
		got := must[[]*bus.Entry](t)(readFrom(ctx, b, next.last, from))
		same(t, "the new log", all[len(all)-len(got):], got)
	}

	// A cursor of the log before may be anywhere in the new one.
	for _, from := range []bus.Cursor{zombie.last.End(), {Attempt: 1, Index: 100}, {Attempt: 7}} {
		got := must[[]*bus.Entry](t)(readFrom(ctx, b, next.last, from))
		same(t, "the end of the new log", all[len(all)-len(got):], got)
	}
}

func lostIsNotRead(t *testing.T, s *suite) {
	ctx, b := t.Context(), s.open(t)
	lost := newWriter(b, newStream(), 1)

	for range 3 {
		lost.send(t, "lost")
	}

	before := lost.last

	s.Wipe(t, lost.id)

	next := newWriter(b, lost.id, 1)
	for range 5 {
		next.send(t, "again")
	}

	got, err := readFrom(ctx, b, before, bus.Cursor{})
	wantErr(t, "read up to what is gone", err, bus.ErrNotFound)

	if len(got) > 0 {
		t.Errorf("read up to what is gone yields %+v", got[0].Frame)
	}
}

func followLives(t *testing.T, s *suite) {
	b, reading := s.open(t), s.open(t)
	id := newStream()
	got := make(chan *bus.Entry, 100)
	stop := must[func()](t)(reading.Follow(t.Context(), id, func(e *bus.Entry) { got <- e }))

	defer stop()

	must[*bus.Entry](t)(lastOf(t.Context(), reading, id))

	for life := range 4 {
		w := newWriter(b, id, 1)

		for range 3 {
			e := w.send(t, "live")
			if !delivered(t, got, e) {
				t.Errorf("entry %d of life %d was not delivered", e.First, life)
			}
		}

		if life%2 == 0 {
			s.Wipe(t, id)
		}

		s.awaitEmpty(t, b, id)
	}
}

// othersStay: letters wait for as long as it takes, and a key for as long as it was set.
func othersStay(t *testing.T, s *suite) {
	ctx, b := t.Context(), s.open(t)
	component, session, key := newID("c"), newID("s"), newID("k")
	w := newWriter(b, newStream(), 1)

	w.send(t, "lost")
	mustPost(t, b, component, session, 0, 1)
	must[uint64](t)(b.Set(ctx, bus.Sessions, key, []byte("kept"), 0, 0))
	s.awaitEmpty(t, b, w.id)

	if l := must[*bus.Letter](t)(b.Peek(ctx, component, session)); l == nil {
		t.Error("a letter expired")
	}

	if e := must[bus.KVEntry](t)(b.Get(ctx, bus.Sessions, key)); string(e.Value) != "kept" {
		t.Errorf("a key holds %q", e.Value)
	}

	got := make(chan string, 1)
	stop := work(t, b, component, bus.WorkConfig{}, serveAll(t, func(l *bus.Letter) { got <- l.ID }))

	receive(t, "a letter older than any entry", got)

	if err := stop(); err != nil {
		t.Error(err)
	}
}

// deadExpire: a dead letter is there for as long as it has to be, then it can't be reached, and its letter can be buried
// again.
func deadExpire(t *testing.T, s *suite) {
	if !s.features.Virtual {
		t.Skip("it would take a month")
	}

	const day = 24 * time.Hour

	b := s.open(t)
	component, session := newID("c"), newID("s")
	first, second := deadLetter(component, session, 0), deadLetter(component, session, 1)

	mustBury(t, b, first)
	wait(t.Context(), bus.DeadLetterAge-day)
	mustBury(t, b, second)

	kept := wantDead(t, b, component, first.ID, second.ID)[0]

	wait(t.Context(), 2*day)
	wantDead(t, b, component, second.ID)

	_, err := b.Buried(t.Context(), &kept.Letter)
	wantErr(t, "a dead letter that is too old", err, bus.ErrNotFound)

	if err := b.Drop(t.Context(), kept); err != nil {
		t.Errorf("drop what is too old: %v", err)
	}

	mustBury(t, b, first)
	wantDead(t, b, component, second.ID, first.ID)
	wait(t.Context(), bus.DeadLetterAge+1)
	wantDead(t, b, component)
}
