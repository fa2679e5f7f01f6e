package natsbus

import (
	"errors"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// inject stores an entry that is none of ours in a log, as anyone can who may publish there.
func inject(t *testing.T, b *Bus, id bus.StreamID, m *nats.Msg) uint64 {
	t.Helper()
	m.Subject = must(b.ns.Log(id.Session, id.Stream))(t)

	return must(b.publish(t.Context(), m))(t)
}

// TestForeignEntriesAreIgnored puts an acknowledgement into a log, as a publish with the log as its reply subject does.
func TestForeignEntriesAreIgnored(t *testing.T) {
	t.Parallel()
	b := single(t)
	id := testID(1)
	got := make(chan *bus.Entry, 20)
	stop := must(b.Follow(t.Context(), id, func(e *bus.Entry) { got <- e }))(t)
	defer stop()
	last := fill(t, b, id, 3)
	for range 2 {
		inject(t, b, id, &nats.Msg{Data: []byte(`{"stream":"X","seq":1}`)})
	}
	if _, err := b.Append(t.Context(), frame(id, 3, "3"), last); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("append that does not know of the foreign entries: %v, want %v", err, bus.ErrConflict)
	}
	seen := must(b.Last(t.Context(), id))(t)
	if !seen.Same(&last.Frame) {
		t.Fatalf("last frame is %+v, want %+v", seen.Frame, last.Frame)
	}
	end := must(b.Append(t.Context(), frame(id, 3, "3"), seen))(t)
	end = must(b.Append(t.Context(), frame(id, 4, "4"), end))(t)
	if indexes := read(t, b, end, bus.Cursor{}); !slices.Equal(indexes, []int{0, 1, 2, 3, 4}) {
		t.Errorf("read %v", indexes)
	}
	for i := range 5 {
		if e := <-got; e == nil || int(e.First) != i {
			t.Errorf("delivery %d is %+v", i, e)
		}
	}
	if c := b.Counts(); c.Foreign < 2 || c.Corrupt != 0 {
		t.Errorf("counts are %+v", c)
	}
}

func TestForeignLogHasNoFrames(t *testing.T) {
	t.Parallel()
	b := single(t)
	id := testID(1)
	inject(t, b, id, &nats.Msg{Data: []byte("hello")})
	if e, err := b.Last(t.Context(), id); !errors.Is(err, bus.ErrCorrupt) {
		t.Errorf("last of a log without frames: %+v, %v", e, err)
	}
}

// TestForgedSequenceIsIgnored sends headers that the server adds, too.
func TestForgedSequenceIsIgnored(t *testing.T) {
	t.Parallel()
	b := single(t)
	id := testID(1)
	got := make(chan *bus.Entry, 20)
	stop := must(b.Follow(t.Context(), id, func(e *bus.Entry) { got <- e }))(t)
	defer stop()
	h := encodeFrame(frame(id, 0, "0"), noLinks)
	h[headerSequence] = []string{"999"}
	seq := inject(t, b, id, &nats.Msg{Header: h, Data: []byte("0")})
	if e := <-got; e == nil || e.Position.Minor != seq {
		t.Errorf("delivered %+v, want position %d", e, seq)
	}
}

func TestCorruptAndNewerEntries(t *testing.T) {
	t.Parallel()
	b := single(t)
	for want, change := range map[error]func(*nats.Msg){
		bus.ErrCorrupt:     func(m *nats.Msg) { m.Data = []byte("1") },
		bus.ErrUnsupported: func(m *nats.Msg) { m.Header[headerFrame] = []string{"2 frame"} },
	} {
		id := bus.StreamID{Session: "s", Stream: "of-" + string(want.Error()[0])}
		m := &nats.Msg{Header: encodeFrame(frame(id, 0, "0"), noLinks), Data: []byte("0")}
		change(m)
		inject(t, b, id, m)
		if _, err := b.Last(t.Context(), id); !errors.Is(err, want) {
			t.Errorf("last: %v, want %v", err, want)
		}
	}
	// A frame of another stream does not pass for one of this.
	m := &nats.Msg{Header: encodeFrame(frame(testID(7), 0, "0"), noLinks), Data: []byte("0")}
	inject(t, b, testID(1), m)
	if _, err := b.Last(t.Context(), testID(1)); !errors.Is(err, bus.ErrCorrupt) {
		t.Errorf("last of a log with another's frame: %v, want %v", err, bus.ErrCorrupt)
	}
	if c := b.Counts(); c.Corrupt != 2 || c.Unsupported != 1 {
		t.Errorf("counts are %+v", c)
	}
}

// TestExpiredEntries deletes the beginning of a log, as its age does, and some in between.
func TestExpiredEntries(t *testing.T) {
	t.Parallel()
	b := single(t)
	id := testID(1)
	var last *bus.Entry
	places := make([]uint64, 50)
	for i := range places {
		last = must(b.Append(t.Context(), frame(id, i, "x"), last))(t)
		places[i] = last.Position.Minor
		fill(t, b, testID(100+i), 1) // no entry follows the one before in the JetStream stream
		if i == 25 {
			inject(t, b, id, &nats.Msg{Data: []byte("hello")})
			last = must(b.Last(t.Context(), id))(t)
		}
	}
	remove := func(i int) {
		t.Helper()
		if err := b.deleteMsg(t.Context(), b.ns.LogStream(b.ns.Shard(id.Session)), places[i]); err != nil {
			t.Fatal(err)
		}
	}
	gone := []int{30, 31, 32, 40}
	for i := range 20 {
		gone = append(gone, i)
	}
	for _, i := range gone {
		remove(i)
		remove(i) // what is gone is no error
	}
	for _, from := range []bus.Cursor{{}, {Attempt: 1}, {Attempt: 1, Index: 10}, {Attempt: 1, Index: 31}, {Attempt: 1, Index: 45}} {
		seen := read(t, b, last, from)
		for i := range 50 {
			there := !slices.Contains(gone, i)
			if got := slices.Contains(seen, i); got && !there || !got && there && uint64(i) >= from.Index {
				t.Errorf("read from %v: %v, entry %d is there: %v", from, seen, i, there)
			}
		}
		if !slices.IsSorted(seen) {
			t.Errorf("read from %v: %v", from, seen)
		}
	}
	remove(49)
	for _, err := range b.Read(t.Context(), last, bus.Cursor{}) {
		if err == nil || !errors.Is(err, bus.ErrNotFound) {
			t.Errorf("read up to what is gone: %v, want %v", err, bus.ErrNotFound)
		}
	}
}
