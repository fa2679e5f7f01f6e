package bustest

import (
	"strconv"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func agingCases() []promise {
	return []promise{
		{name: "age/a log that has lost its head is read from what is left", run: readWithoutHead},
		{name: "age/a log that has expired begins anew", run: expiredLogBeginsAnew},
	}
}

// logAge is how long an entry is kept in the cases about age: as short as brokers keep anything exactly enough.
const logAge = 3 * time.Second

// aging opens a bus whose logs keep entries for logAge.
func (s *suite) aging(t *testing.T) bus.Bus {
	t.Helper()

	if s.Aged == nil {
		t.Skip("this broker can't be told how long to keep entries")
	}

	own := *s
	own.Harness = s.Aged(t, logAge)

	return own.open(t)
}

// left reads a log and returns what is there.
func left(t *testing.T, b bus.Bus, last *bus.Entry, from bus.Cursor) []*bus.Entry {
	t.Helper()

	var all []*bus.Entry

	for e, err := range b.Read(within(t), last, from) {
		if err != nil {
			t.Fatalf("read from %v: %v", from, err)
		}

		all = append(all, e)
	}

	return all
}

// readWithoutHead writes until what was written first has expired.
func readWithoutHead(t *testing.T, s *suite) {
	b := s.aging(t)
	ctx := within(t)
	w := newWriter(b, newStream(), 1)

	first := w.send(t, "first")
	all := []*bus.Entry{first}

	for i := 1; ; i++ {
		all = append(all, w.send(t, strconv.Itoa(i)))

		if there := left(t, b, w.last, bus.Cursor{}); there[0].Position != first.Position {
			break
		}

		if !pauseFor(ctx, logAge/20) {
			t.Fatal("the first entry never expired")
		}
	}

	for _, from := range []bus.Cursor{{}, {Attempt: 1}, {Attempt: 1, Index: 1}, w.last.End()} {
		there := left(t, b, w.last, from)
		gone := len(all) - len(there)

		if gone <= 0 {
			t.Fatalf("read from %v: %d of %d entries, of which the first has expired", from, len(there), len(all))
		}

		for i, e := range there {
			if want := all[gone+i]; e.Position != want.Position || !e.Same(&want.Frame) {
				t.Fatalf("read from %v: entry %d is %+v, want %+v", from, gone+i, e, want)
			}
		}
	}
}

// expiredLogBeginsAnew waits until all of a log has expired.
func expiredLogBeginsAnew(t *testing.T, s *suite) {
	b := s.aging(t)
	ctx := within(t)
	id := newStream()
	w := newWriter(b, id, 1)

	for i := range 3 {
		w.send(t, strconv.Itoa(i))
	}

	old := w.last

	for {
		last, err := b.Last(ctx, id)
		if err != nil {
			t.Fatal(err)
		}

		if last == nil {
			break
		}

		if !pauseFor(ctx, logAge/20) {
			t.Fatal("the log never expired")
		}
	}

	wantOnlyLast(t, b, old)

	_, err := b.Append(ctx, newWriter(b, id, 2).frame("late"), old)
	wantErr(t, "append behind an entry that has expired", err, bus.ErrConflict)

	begun := newWriter(b, id, 3).send(t, "anew")
	if there := left(t, b, begun, bus.Cursor{}); len(there) != 1 || !there[0].Same(&begun.Frame) {
		t.Errorf("the log that began anew holds %+v, want %+v", there, begun)
	}

	wantOnlyLast(t, b, old)
}

// wantOnlyLast reads up to an entry that is gone, and expects to be told or to get that entry from memory.
func wantOnlyLast(t *testing.T, b bus.Bus, old *bus.Entry) {
	t.Helper()

	for _, from := range []bus.Cursor{{}, {Attempt: 1, Index: 1}, old.End()} {
		for e, err := range b.Read(within(t), old, from) {
			if err != nil {
				wantErr(t, "read up to what is gone", err, bus.ErrNotFound)
			} else if e.Position != old.Position || !e.Same(&old.Frame) {
				t.Errorf("read up to what is gone: %+v", e)
			}
		}
	}
}
