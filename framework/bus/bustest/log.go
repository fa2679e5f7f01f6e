package bustest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func infoCases() []promise {
	return []promise{
		{name: "info/says what the bus is", run: infoIsComplete},
		{name: "info/tells the time of the broker", run: timeOfTheBroker},
	}
}

// The broker of a test is on this machine, so the clocks are the same.
func timeOfTheBroker(t *testing.T, s *suite) {
	b := s.open(t)

	for range 3 { // of which the first one asks
		before := time.Now()
		now := must[time.Time](t)(b.Now(t.Context()))

		if took := time.Since(before); now.Before(before.Add(-took-time.Second)) || now.After(time.Now().Add(took+time.Second)) {
			t.Errorf("the broker's time is %v, %v from this one's, after %v", now, time.Until(now), took)
		}
	}

	ended, cancel := context.WithCancel(t.Context())
	cancel()

	if _, err := s.open(t).Now(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("the time after the context's end: %v", err)
	}
}

func infoIsComplete(t *testing.T, s *suite) {
	i := s.open(t).Info()

	if i.Kind == "" || i.URL == "" || i.Durability == "" || i.MaxBody < 64<<10 {
		t.Errorf("incomplete or too small: %+v", i)
	}

	if strings.Contains(i.URL, "@") {
		t.Errorf("URL %s holds credentials", i.URL)
	}
}

func logCases() []promise {
	return []promise{
		{name: "log/a log that nobody wrote is empty", run: emptyLog, faults: true},
		{name: "log/append makes an entry the last one", run: appendIsLast, faults: true},
		{name: "log/what is appended is a copy", run: appendCopies, faults: true},
		{name: "log/streams don't mix", run: streamsApart, faults: true},
		{name: "log/another connection sees the same", run: otherConnection, faults: true},
	}
}

func emptyLog(t *testing.T, s *suite) {
	b := s.open(t)

	if e := must[*bus.Entry](t)(lastOf(t.Context(), b, newStream())); e != nil {
		t.Errorf("last entry of an empty log: %+v", e)
	}

	for e, err := range b.Read(t.Context(), nil, bus.Cursor{}) {
		t.Errorf("an empty log holds %+v, %v", e, err)
	}
}

func appendIsLast(t *testing.T, s *suite) {
	b := s.open(t)
	w := newWriter(b, newStream(), 1)

	var before *bus.Entry

	for i := range 20 {
		e := w.send(t, fmt.Sprint("chunk ", i))
		last := must[*bus.Entry](t)(lastOf(t.Context(), b, w.id))
		same(t, "last entry", e, last)

		if before != nil && !later(e, before) {
			t.Errorf("position %v does not follow %v", e.Position, before.Position)
		}

		before = e
	}

	w.end(t)
	wantLog(t, b, w.id, 21)
}

func later(e, than *bus.Entry) bool {
	p, q := e.Position, than.Position

	return p.Major > q.Major || p.Major == q.Major && p.Minor > q.Minor
}

// readAll returns a whole log.
func readAll(t *testing.T, b bus.Bus, id bus.StreamID) []*bus.Entry {
	t.Helper()

	var all []*bus.Entry

	last := must[*bus.Entry](t)(lastOf(t.Context(), b, id))
	for e, err := range b.Read(t.Context(), last, bus.Cursor{}) {
		if err != nil {
			t.Fatalf("read after %d entries: %v", len(all), err)
		}

		all = append(all, e)
	}

	return all
}

// wantLog reads a whole log and checks that it holds n entries that follow each other.
func wantLog(t *testing.T, b bus.Bus, id bus.StreamID, n int) []*bus.Entry {
	t.Helper()

	all := readAll(t, b, id)
	if len(all) != n {
		t.Errorf("log holds %d entries, want %d", len(all), n)
	}

	r := newTail(b, id)
	for i, e := range all {
		if r.seen(e) || !r.accept(e) {
			t.Fatalf("entry %d is %+v, expected at %v+%d", i, e, r.cursor, r.offset)
		}
	}

	return all
}

func appendCopies(t *testing.T, s *suite) {
	b := s.open(t)
	w := newWriter(b, newStream(), 1)
	f := w.frame("first", "second")
	f.Meta = map[string]string{"a": "b"}
	f.Trace = map[string]string{"traceparent": "00-1-2-03"}
	want := copyFrame(f)

	if err := w.put(t.Context(), f); err != nil {
		t.Fatal(err)
	}

	copy(f.Body, "XXXXXXXXXXX")
	f.Lengths[0] = 9
	f.Meta["a"], f.Trace["traceparent"] = "changed", "changed"

	same(t, "stored frame", *want, readAll(t, b, w.id)[0].Frame)
}

func streamsApart(t *testing.T, s *suite) {
	b := s.open(t)
	session := newID("s")

	names := []string{"a", "A", "aa", "a-", "-a", "a_", "_", "0", strings.Repeat("z", 64)}
	ids := make([]bus.StreamID, 0, 2*len(names))

	for _, stream := range names {
		ids = append(ids, bus.StreamID{Session: session, Stream: stream}, bus.StreamID{Session: session + "x", Stream: stream})
	}

	writers := make([]*writer, len(ids))
	for i, id := range ids {
		writers[i] = newWriter(b, id, 1)
	}

	for range 3 {
		for _, w := range writers {
			w.send(t, w.id.String())
		}
	}

	for _, w := range writers {
		for _, e := range wantLog(t, b, w.id, 3) {
			if e.ID != w.id || string(e.Body) != w.id.String() {
				t.Errorf("log of %v holds %v: %s", w.id, e.ID, e.Body)
			}
		}
	}
}

func otherConnection(t *testing.T, s *suite) {
	one, two := s.open(t), s.open(t)
	id := newStream()

	var last *bus.Entry

	for i := range 20 {
		w := newWriter([]bus.Bus{one, two}[i%2], id, uint32(i+1))
		w.last = last
		last = w.send(t, strconv.Itoa(i))
	}

	same(t, "logs", wantLog(t, one, id, 20), wantLog(t, two, id, 20))
}
