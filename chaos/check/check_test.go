package check_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// forge makes a sound history of two turns with two readers. The answer to the first has two attempts: the first one
// dies after a chunk. A test spoils one thing.
type forge struct {
	*check.Session

	sequence uint64
}

func sound() *forge {
	f := &forge{Session: &check.Session{ID: "s", Logs: map[string][]*bus.Entry{}}}
	for _, id := range []string{"t1", "t2"} {
		f.Turns = append(f.Turns, check.Turn{
			ID: id, Prompt: id, Acked: true,
			Answers: map[string]check.Answer{"llm": {Chunks: []string{"a", "b"}, State: bus.Completed}},
		})
		f.store(id, &bus.Frame{Attempt: 1, Writer: "in", Begin: true, Lengths: []int{2}, Body: []byte(id)})
		f.store(id, &bus.Frame{Attempt: 1, Writer: "in", First: 1, State: bus.Completed})
	}
	f.store("a1", &bus.Frame{Attempt: 1, Writer: "w1", Begin: true, Lengths: []int{1}, Body: []byte("a")})
	f.store("a1", &bus.Frame{
		Attempt: 2, Writer: "w2", Begin: true, After: bus.Cursor{Attempt: 1, Index: 1}, Lengths: []int{1, 1}, Body: []byte("ab"),
	})
	f.store("a1", &bus.Frame{Attempt: 2, Writer: "w2", First: 2, State: bus.Completed})
	f.store("a2", &bus.Frame{Attempt: 1, Writer: "w3", Begin: true, Lengths: []int{1, 1}, Body: []byte("ab"), State: bus.Completed})
	for _, name := range []string{"phone", "laptop"} {
		f.Readers = append(f.Readers, check.Reader{Name: name, Component: "llm", Events: []check.Event{
			opened(1, "t1"),
			chunk(1, "t1", 1, 0, "a"),
			event(1, "t1", stream.Event{Kind: stream.KindSuperseded, Cursor: bus.Cursor{Attempt: 2}}),
			chunk(1, "t1", 2, 0, "a"),
			chunk(1, "t1", 2, 1, "b"),
			ended(1, "t1", 2),
			opened(2, "t2"),
			chunk(2, "t2", 1, 0, "a"),
			chunk(2, "t2", 1, 1, "b"),
			ended(2, "t2", 1),
		}})
	}

	return f
}

func (f *forge) store(id string, frame *bus.Frame) {
	f.sequence++
	frame.ID = bus.StreamID{Session: "s", Stream: id}
	f.Logs[id] = append(f.Logs[id], &bus.Entry{Frame: *frame, Position: bus.Position{Minor: f.sequence}})
}

func event(position uint64, turn string, ev stream.Event) check.Event {
	return check.Event{SessionEvent: stream.SessionEvent{
		Info: stream.Info{Stream: "a" + turn[1:], Root: turn, Turn: turn}, Event: ev,
		Cursor: stream.SessionCursor{Position: position, Cursor: ev.Cursor},
	}}
}

func opened(position uint64, turn string) check.Event {
	return event(position, turn, stream.Event{Kind: stream.KindOpened})
}

func chunk(position uint64, turn string, attempt int, index uint64, data string) check.Event {
	return event(position, turn, stream.Event{
		Kind:   stream.KindChunk,
		Chunk:  stream.Chunk{Index: index, Attempt: attempt, Data: []byte(data)},
		Cursor: bus.Cursor{Attempt: uint32(attempt), Index: index + 1},
	})
}

func ended(position uint64, turn string, attempt uint32) check.Event {
	return event(position, turn, stream.Event{
		Kind: stream.KindEnd, End: stream.End{State: bus.Completed}, Cursor: bus.Cursor{Attempt: attempt, Index: 3},
	})
}

// drop removes some of the phone's events.
func (f *forge) drop(from, to int) {
	events := f.Readers[0].Events
	f.Readers[0].Events = slices.Concat(events[:from], events[to:])
}

func TestASoundHistoryHasNoViolation(t *testing.T) {
	t.Parallel()
	f := sound()
	f.Live = f.Logs
	for _, v := range f.Check() {
		t.Error(v)
	}
}

// A turn that nobody was told of may be answered or not, and one that should complete may fail.
func TestWhatIsNotPromisedIsNoViolation(t *testing.T) {
	t.Parallel()
	f := sound()
	f.Turns[1].Acked = false
	for i := range f.Readers {
		f.Readers[i].Events = f.Readers[i].Events[:6]
	}
	delete(f.Logs, "t2")
	delete(f.Logs, "a2")
	last := f.Logs["a1"][2]
	last.State = bus.Failed
	for _, r := range f.Readers {
		r.Events[5].Event.End.State = bus.Failed
	}
	for _, v := range f.Check() {
		t.Error(v)
	}
}

func TestEachViolationIsFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind  check.Kind
		text  string
		spoil func(f *forge)
	}{
		"an acknowledged turn was passed over": {check.Lost, "saw no answer", func(f *forge) { f.drop(0, 6) }},
		"an acknowledged input is gone":        {check.Lost, "is not stored", func(f *forge) { delete(f.Logs, "t1") }},
		"an acknowledged input has no end":     {check.Lost, "acknowledged end", func(f *forge) { f.Logs["t1"] = f.Logs["t1"][:1] }},
		"a chunk did not come":                 {check.Lost, "chunk 1 after 0", func(f *forge) { f.drop(3, 4) }},
		"the last chunk did not come":          {check.Lost, "1 chunks, not 2", func(f *forge) { f.drop(4, 5) }},
		"a chunk came twice": {check.Duplicated, "does not follow", func(f *forge) {
			f.Readers[0].Events[8] = f.Readers[0].Events[7]
		}},
		"nobody was told of the restart": {check.Duplicated, "chunk 0 after 1", func(f *forge) { f.drop(2, 3) }},
		"a turn was answered twice": {check.Duplicated, "answers after a1", func(f *forge) {
			f.Readers[0].Events = append(f.Readers[0].Events, opened(3, "t1"))
		}},
		"answers came in another order": {check.Disordered, "answered after turn t2", func(f *forge) {
			events := f.Readers[0].Events
			f.Readers[0].Events = slices.Concat(events[6:], events[:6])
		}},
		"chunks of a stream that is not open": {check.Disordered, "is not open", func(f *forge) { f.drop(6, 7) }},
		"text of a dead attempt came late": {check.Disordered, "after attempt 2", func(f *forge) {
			f.Readers[0].Events[3].Event.Chunk.Attempt = 1
		}},
		"two turns at once": {check.Overlap, "before turn t1 had ended", func(f *forge) {
			f.Logs["a1"][2].Position, f.Logs["a2"][0].Position = f.Logs["a2"][0].Position, f.Logs["a1"][2].Position
		}},
		"a zombie's frame was accepted": {check.Zombie, "wrote after attempt 2", func(f *forge) {
			f.Logs["a1"][2].Attempt = 1
		}},
		"two writers of an attempt": {check.Zombie, "two writers", func(f *forge) { f.Logs["a1"][2].Writer = "w1" }},
		"a frame behind the end":    {check.Zombie, "after the final frame", func(f *forge) { f.store("a2", &f.Logs["a2"][0].Frame) }},
		"a frame beside the log": {check.Zombie, "beside the log", func(f *forge) {
			f.Live = map[string][]*bus.Entry{"a1": append(f.Logs["a1"], &bus.Entry{Position: bus.Position{Minor: 99}})}
		}},
		"another text is stored": {check.Diverged, "never sent", func(f *forge) { f.Logs["a2"][0].Body = []byte("ax") }},
		"another text came": {check.Diverged, "not what is stored", func(f *forge) {
			f.Readers[0].Events[8].Event.Chunk.Data = []byte("x")
		}},
		"a completed answer is short": {check.Diverged, "ended with 2 chunks of 3", func(f *forge) {
			f.Turns[1].Answers["llm"] = check.Answer{Chunks: []string{"a", "b", "c"}, State: bus.Completed}
		}},
		"an answer had to fail": {check.Diverged, "had to end as failed", func(f *forge) {
			f.Turns[1].Answers["llm"] = check.Answer{Chunks: []string{"a", "b"}, State: bus.Failed}
		}},
		"an answer nobody asked for": {check.Diverged, "nobody posted", func(f *forge) {
			for i := range f.Readers[0].Events {
				f.Readers[0].Events[i].Info.Root += "x"
			}
		}},
		"an answer without an end":        {check.Stuck, "did not reach the end", func(f *forge) { f.drop(9, 10) }},
		"an answer that never came":       {check.Stuck, "saw no answer", func(f *forge) { f.drop(6, 10) }},
		"an acknowledged turn is ignored": {check.Stuck, "saw no answer", func(f *forge) { f.Readers[0].Events = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := sound()
			c.spoil(f)
			var all []string
			for _, v := range f.Check() {
				all = append(all, v.String())
				if v.Kind == c.kind && strings.Contains(v.Text, c.text) {
					return
				}
			}
			t.Errorf("want %s: …%s…; got %q", c.kind, c.text, all)
		})
	}
}

// at is a time of the forged history, in seconds.
func at(seconds int) time.Time { return time.Unix(int64(seconds), 0) }

// TestOrderByWhatTheBusTold is for a bus whose positions are ordered within one log only.
func TestOrderByWhatTheBusTold(t *testing.T) {
	t.Parallel()
	f := sound()
	f.Spans = map[string]check.Span{"a1": {First: 1, Last: 7}, "a2": {First: 8, Last: 9}}
	f.Logs["a1"][2].Position, f.Logs["a2"][0].Position = f.Logs["a2"][0].Position, f.Logs["a1"][2].Position
	for _, v := range f.Check() {
		t.Error(v)
	}
	f.Spans["a2"] = check.Span{First: 6, Last: 9}
	if found := f.Check(); len(found) != 1 || found[0].Kind != check.Overlap {
		t.Errorf("two turns at once: %v", found)
	}
}

// TestOnlyWhatAWindowHoldsIsExcused kills the server at second 12, which undoes what was acknowledged from second 10 on.
func TestOnlyWhatAWindowHoldsIsExcused(t *testing.T) {
	t.Parallel()
	windows := []check.Window{{From: at(10), To: at(12)}}
	unanswered := func(f *forge) { f.drop(6, 10) }
	nobodys := func(f *forge) { f.Readers[0].Events[9].Info.Root = "t9" }
	otherText := func(f *forge) { f.Readers[0].Events[8].Event.Chunk.Data = []byte("x") }
	for name, c := range map[string]struct {
		spoil             func(f *forge)
		asked, told, seen int
		want              bool
	}{
		"a turn acknowledged within":             {spoil: unanswered, asked: 10, told: 11, seen: 20, want: true},
		"one whose acknowledgement came late":    {spoil: unanswered, asked: 11, told: 15, seen: 20, want: true},
		"one acknowledged before":                {spoil: unanswered, asked: 8, told: 9, seen: 20},
		"one acknowledged before, and seen":      {spoil: unanswered, asked: 8, told: 9, seen: 11},
		"one acknowledged after":                 {spoil: unanswered, asked: 13, told: 14, seen: 20},
		"another text than was seen within":      {spoil: otherText, asked: 8, told: 9, seen: 11, want: true},
		"another text than was seen before":      {spoil: otherText, asked: 7, told: 8, seen: 9},
		"another text than was seen much later":  {spoil: otherText, asked: 7, told: 8, seen: 13},
		"an answer that nobody asked for within": {spoil: nobodys, asked: 8, told: 9, seen: 11},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := sound()
			for i := range f.Turns {
				f.Turns[i].Asked, f.Turns[i].Told = at(c.asked), at(c.told)
			}
			for _, r := range f.Readers {
				for i := range r.Events {
					r.Events[i].At = at(c.seen)
				}
			}
			c.spoil(f)
			found := f.Check()
			u := f.Excuse(found, windows)
			if len(found) == 0 || len(u.Broken)+len(u.Missing) != len(found) || (len(u.Broken) == 0) != c.want {
				t.Errorf("%v are held against it, %v are not", u.Broken, u.Missing)
			}
			if u := f.Excuse(found, nil); len(u.Broken) != len(found) {
				t.Errorf("without a window %v of %v are held against it", u.Broken, found)
			}
		})
	}
}

// TestReadersOfWhatIsMissing may pass over later turns, which are counted for themselves, and no earlier ones.
func TestReadersOfWhatIsMissing(t *testing.T) {
	t.Parallel()
	windows := []check.Window{{From: at(10), To: at(12)}}
	for name, c := range map[string]struct{ first, second, missing, after, broken int }{
		"a loss and what follows from it": {first: 11, second: 13, missing: 1, after: 1},
		"a turn before the loss":          {first: 9, second: 11, missing: 1, broken: 1},
		"nothing was lost":                {first: 13, second: 14, broken: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := sound()
			f.Readers[0].Events = nil
			f.Turns[0].Asked, f.Turns[0].Told = at(c.first), at(c.first)
			f.Turns[1].Asked, f.Turns[1].Told = at(c.second), at(c.second)
			u := f.Excuse(f.Check(), windows)
			if len(u.Missing) != c.missing || len(u.After) != c.after || len(u.Broken) != c.broken {
				t.Errorf("missing %v, after %v, broken %v", u.Missing, u.After, u.Broken)
			}
		})
	}
}
