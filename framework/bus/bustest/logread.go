package bustest

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func readCases() []promise {
	return []promise{
		{name: "read/from every cursor of a long log", run: readFromEverywhere},
		{name: "read/ends with the entry that is asked for", run: readUpTo},
		{name: "read/ends with its context", run: readEndsWithContext},
	}
}

const longLog = 300

// longLogOf writes a log of many frames and attempts between those of other streams.
func longLogOf(t *testing.T, b bus.Bus, seed uint64) []*bus.Entry {
	t.Helper()

	ctx := within(t)
	id := newStream()
	w := newWriter(b, id, 1)
	others := []*writer{newWriter(b, newStream(), 1), newWriter(b, bus.StreamID{Session: id.Session, Stream: "other"}, 1)}

	all := make([]*bus.Entry, 0, longLog)

	for i, f := range script(id, seed, longLog) {
		if i%3 == 0 {
			others[i%2].send(t, "between")
		}

		if err := w.put(ctx, f); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}

		all = append(all, w.last)
	}

	return all
}

// starts returns the index of the first entry that a reader standing at a cursor may not have seen, for every cursor
// that a reader of this log can stand at.
func starts(log []*bus.Entry) map[bus.Cursor]int {
	at := map[bus.Cursor]int{{}: 0}
	put := func(c bus.Cursor, i int) {
		if old, there := at[c]; !there || i < old {
			at[c] = i
		}
	}

	for i, e := range log {
		for j := range e.Lengths {
			put(bus.Cursor{Attempt: e.Attempt, Index: e.First + uint64(j)}, i)
		}

		if i+1 < len(log) {
			put(e.End(), i+1)
		} else {
			put(e.End(), i)
		}
	}

	return at
}

func readFromEverywhere(t *testing.T, s *suite) {
	b := s.open(t)
	log := longLogOf(t, b, 11)
	reading := s.open(t)

	var readers sync.WaitGroup

	limit := make(chan struct{}, 8)
	n := 0

	for from, start := range starts(log) {
		limit <- struct{}{}

		// Every tenth reads to the end, the others a part, because a real bus takes its time for each entry.
		end := len(log)
		n++

		if n%10 != 0 {
			end = min(end, start+20)
		}

		readers.Go(func() {
			defer func() { <-limit }()

			if err := wantSuffix(t.Context(), reading, log[:end], from, start); err != nil {
				t.Errorf("read from %+v: %v", from, err)
			}
		})
	}

	readers.Wait()
}

// wantSuffix reads from a cursor and expects the end of the log that begins at or before start.
func wantSuffix(ctx context.Context, b bus.Bus, log []*bus.Entry, from bus.Cursor, start int) error {
	var got []*bus.Entry

	for e, err := range b.Read(ctx, log[len(log)-1], from) {
		if err != nil {
			return err
		}

		got = append(got, e)
	}

	first := len(log) - len(got)
	if first < 0 || first > start {
		return fmt.Errorf("got %d entries, which begin at %d, want them to begin at or before %d", len(got), first, start)
	}

	for i, e := range got {
		if want := log[first+i]; e.Position != want.Position || !e.Same(&want.Frame) {
			return fmt.Errorf("entry %d is %+v, want %+v", first+i, e, want)
		}
	}

	return nil
}

func readUpTo(t *testing.T, s *suite) {
	b := s.open(t)
	w := newWriter(b, newStream(), 1)

	entries := make([]*bus.Entry, 0, 30)
	for i := range 30 {
		entries = append(entries, w.send(t, strconv.Itoa(i)))
	}

	for _, n := range []int{1, 2, 15, 29, 30} {
		if err := wantSuffix(t.Context(), b, entries[:n], bus.Cursor{}, 0); err != nil {
			t.Errorf("up to entry %d: %v", n, err)
		}
	}
}

func readEndsWithContext(t *testing.T, s *suite) {
	b := s.open(t)
	w := newWriter(b, newStream(), 1)

	for i := range 300 {
		w.send(t, strconv.Itoa(i))
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	n := 0

	for _, err := range b.Read(ctx, w.last, bus.Cursor{}) {
		if err != nil {
			wantErr(t, "read", err, context.Canceled)

			return
		}

		n++
		cancel()
	}

	t.Errorf("read ended without an error after %d of 300 entries", n)
}
