package history_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/internal/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// record is a history without faults: attempt 1 writes "a" and "b" and dies, attempt 2 resumes behind "a" with "c"
// and completes. A test changes one thing.
type record struct {
	log    []*bus.Entry
	events []stream.Event
	acked  bool
}

func sound() *record {
	first := &bus.Entry{Frame: bus.Frame{
		Attempt: 1, Writer: "w1", Begin: true, Lengths: []int{1, 1}, Body: []byte("ab"),
	}}
	second := &bus.Entry{Frame: bus.Frame{
		Attempt: 2, Writer: "w2", Begin: true, First: 1, After: first.End(), Lengths: []int{1}, Body: []byte("c"),
	}}
	end := &bus.Entry{Frame: bus.Frame{Attempt: 2, Writer: "w2", First: 2, State: bus.Completed}}

	return &record{
		log: []*bus.Entry{first, second, end},
		events: []stream.Event{
			chunk(1, 0, "a"), chunk(1, 1, "b"),
			{Kind: stream.KindSuperseded, From: 1, Cursor: bus.Cursor{Attempt: 2, Index: 1}},
			chunk(2, 1, "c"),
			{Kind: stream.KindEnd, End: stream.End{State: bus.Completed}, Cursor: bus.Cursor{Attempt: 2, Index: 3}},
		},
		acked: true,
	}
}

func chunk(attempt int, index uint64, data string) stream.Event {
	return stream.Event{
		Kind:   stream.KindChunk,
		Chunk:  stream.Chunk{Index: index, Attempt: attempt, Data: []byte(data)},
		Cursor: bus.Cursor{Attempt: uint32(attempt), Index: index + 1},
	}
}

func (r *record) check() error {
	h := history.New()
	w1 := h.Writer(1, 0)
	w1.Send([]byte("a"))
	w1.Send([]byte("b"))
	w1.Flushed()
	w2 := h.Writer(2, 1)
	w2.Send([]byte("c"))
	w2.Send([]byte("refused"))
	w2.Refused()
	w2.End(bus.Completed)
	if r.acked {
		w2.Ended()
	}
	reader := h.Reader("reader")
	for _, ev := range r.events {
		reader.Saw(ev)
	}

	return h.Check(r.log)
}

func TestCheckAcceptsASoundHistory(t *testing.T) {
	t.Parallel()
	if err := sound().check(); err != nil {
		t.Error(err)
	}
}

func TestCheckFindsEachViolation(t *testing.T) {
	t.Parallel()
	remove := func(events []stream.Event, i int) []stream.Event { return append(events[:i:i], events[i+1:]...) }
	for _, c := range []struct {
		want  string
		spoil func(r *record)
	}{
		{"acknowledged chunk 0 is not stored", func(r *record) { r.log[0].Body = []byte("xb") }},
		{"was never sent", func(r *record) { r.log[1].Body = []byte("x"); r.acked = false }},
		{"the acknowledged end is not the log's", func(r *record) { r.log[2].State = bus.Failed }},
		{"wrote after attempt 2", func(r *record) { r.log[2].Attempt = 1 }},
		{"two writers of attempt 2", func(r *record) { r.log[2].Writer = "w3" }},
		{"a beginning at the wrong place", func(r *record) { r.log[2].Begin = true }},
		{"begins at 3, behind the 2 visible", func(r *record) { r.log[1].First = 3 }},
		{"after the final frame", func(r *record) { r.log = append(r.log, r.log[2]) }},
		{"chunk 5 follows 2 visible", func(r *record) { r.log[2].First, r.log[2].Lengths, r.log[2].Body = 5, []int{1}, []byte("x") }},
		{"a part of chunk 1 begins at 5", func(r *record) { r.log[1].Offset = 5 }},
		{"chunk 1 after 0 chunks", func(r *record) { r.events = remove(r.events, 0) }},
		{"chunk 1 after 2 chunks", func(r *record) { r.events = remove(r.events, 2) }},
		{"does not follow", func(r *record) { r.events[1] = r.events[0] }},
		{"is not what is stored", func(r *record) { r.events[0].Chunk.Data = []byte("x") }},
		{"chunk 0 of attempt 2 is not", func(r *record) { r.events[0].Chunk.Attempt = 2 }},
		{"only 2 chunks were delivered", func(r *record) { r.events[2].From = 2 }},
		{"superseded by attempt 1 after attempt 1", func(r *record) { r.events[2].Cursor = bus.Cursor{Attempt: 1, Index: 9} }},
		{"of attempt 1 after attempt 2", func(r *record) { r.events[3].Chunk.Attempt = 1 }},
		{"did not reach the end", func(r *record) { r.events = r.events[:4] }},
		{"after the end", func(r *record) { r.events = append(r.events, r.events[4]) }},
		{"ended as failed", func(r *record) { r.events[4].End.State = bus.Failed }},
		{"final text: 1 chunks, not 2", func(r *record) { r.events = remove(r.events, 3) }},
	} {
		r := sound()
		c.spoil(r)
		if err := r.check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
}
