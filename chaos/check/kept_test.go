package check_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// age is for how long the bus of the histories below keeps what is stored: 10 s.
const age = 10 * time.Second

// long is a sound history of a session that lived for longer than the bus keeps anything: its turns were posted at
// seconds 1 and 21, and at second 30 a visitor comes with the phone's cursor behind the first turn.
func long() *forge {
	f := sound()
	f.Age = age
	f.Read = map[string]time.Time{}
	for i := range f.Turns {
		f.Turns[i].Posted, f.Turns[i].Asked, f.Turns[i].Told = at(1+20*i), at(1+20*i), at(2+20*i)
	}
	for i := range f.Readers {
		events := f.Readers[i].Events
		for j := range events {
			events[j].At = at(3)
			if events[j].Info.Root == "t2" {
				events[j].At = at(23)
			}
		}
	}
	for _, id := range []string{"t1", "a1", "t2", "a2"} {
		f.Read[id] = at(4)
	}
	phone := f.Readers[0].Events
	f.Readers = append(f.Readers, check.Reader{
		Name: "visitor", Component: "llm", Came: at(30), Until: 2, Known: 6,
		Events: slices.Concat(phone[:6], []check.Event{{Gone: true, At: at(30)}}, later(phone[6:], 31)),
	})

	return f
}

// later returns events as a reader saw them at another time.
func later(events []check.Event, second int) []check.Event {
	events = slices.Clone(events)
	for i := range events {
		events[i].At = at(second)
	}

	return events
}

const phone, visitor = 0, 2

func TestASoundHistoryThatOutlivesItsOldestPart(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(f *forge){
		"told": func(*forge) {},
		"went on, because it is still there": func(f *forge) {
			f.Readers[visitor].Events = slices.Delete(f.Readers[visitor].Events, 6, 7)
		},
		"went on within a stream": func(f *forge) {
			v := &f.Readers[visitor]
			v.Known, v.Came = 3, at(5)
			v.Events = slices.Concat(v.Events[:3], later(v.Events[3:6], 5), later(v.Events[7:], 23))
		},
		"from the beginning, of which the oldest part is gone": func(f *forge) {
			v := &f.Readers[visitor]
			v.Known, v.Events = 0, v.Events[7:]
		},
		"left within a stream": func(f *forge) {
			v := &f.Readers[visitor]
			v.Until, v.Events = 1, v.Events[:9]
		},
		"one that stayed was told": func(f *forge) {
			events := f.Readers[phone].Events
			f.Readers[phone].Events = slices.Concat(events[:4], []check.Event{{Gone: true, At: at(20)}}, events[6:])
		},
		"logs that expired before they were read": func(f *forge) {
			for id := range f.Logs {
				f.Logs[id], f.Read[id] = nil, at(40)
			}
		},
		"a log whose first entry has expired": func(f *forge) {
			f.Live = map[string][]*bus.Entry{"a1": f.Logs["a1"]}
			f.Logs["a1"], f.Read["a1"] = f.Logs["a1"][1:], at(40)
		},
		"a timeline that began anew": renewed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := long()
			change(f)
			for _, v := range f.Check() {
				t.Error(v)
			}
		})
	}
}

// renewed gives the second answer the place of the first one: all before it has expired.
func renewed(f *forge) {
	for i := range f.Readers {
		events := f.Readers[i].Events
		for j := range events {
			if events[j].Info.Root == "t2" {
				events[j].Cursor.Position = 1
			}
		}
	}
}

func TestEachViolationOverTimeIsFound(t *testing.T) {
	t.Parallel()
	visits := func(f *forge) *check.Reader { return &f.Readers[visitor] }
	for name, c := range map[string]struct {
		kind  check.Kind
		text  string
		spoil func(f *forge)
	}{
		"told although it is stored": {check.Unfounded, "visitor was told", func(f *forge) {
			visits(f).Events[6].At = at(8)
		}},
		"told although nothing expires": {check.Unfounded, "visitor was told", func(f *forge) { f.Age = 0 }},
		"the tail of another stream": {check.Disordered, "is not open", func(f *forge) {
			v := visits(f)
			v.Events = slices.Concat(v.Events[:6], v.Events[8:])
		}},
		"silence after the place": {check.Stuck, "visitor saw no answer", func(f *forge) {
			v := visits(f)
			v.Events = v.Events[:6]
		}},
		"silence after it was told": {check.Stuck, "visitor saw no answer", func(f *forge) {
			v := visits(f)
			v.Events = v.Events[:7]
		}},
		"a stored turn was passed over after it was told": {check.Lost, "visitor saw no answer", func(f *forge) {
			f.Turns[0].Posted = at(25)
		}},
		"a stored turn was passed over from the beginning": {check.Lost, "visitor saw no answer", func(f *forge) {
			v := visits(f)
			v.Known, v.Events = 0, v.Events[7:]
			f.Turns[0].Posted = at(22)
		}},
		"one that stayed was told too early": {check.Unfounded, "phone was told", func(f *forge) {
			events := f.Readers[phone].Events
			f.Readers[phone].Events = slices.Concat(events[:4], []check.Event{{Gone: true, At: at(5)}}, events[6:])
		}},
		"one that stayed passed over what expired and was told nothing": {check.Lost, "saw no answer", func(f *forge) { f.drop(0, 6) }},
		"a turn was passed over before it was told": {check.Lost, "phone saw no answer", func(f *forge) {
			tail := f.Readers[phone].Events[6:]
			f.Readers[phone].Events = slices.Concat(tail, []check.Event{{Gone: true, At: at(40)}}, later(tail, 41))
		}},
		"what was there when it came was passed over": {check.Lost, "visitor saw no answer", func(f *forge) {
			v := visits(f)
			v.Known, v.Came, v.Events = 0, at(2), later(v.Events[7:], 23)
		}},
		"places that go back in a timeline that did not begin anew": {check.Duplicated, "does not follow", func(f *forge) {
			renewed(f)
			f.Age = time.Minute
			f.Readers = f.Readers[:visitor]
		}},
		"an answer that is gone before its time": {check.Diverged, "is not what is stored", func(f *forge) {
			f.Logs["a2"], f.Read["a2"] = nil, at(24)
		}},
		"a turn that nobody saw answered, whose readers were told late": {check.Stuck, "saw no answer", func(f *forge) {
			f.Readers = f.Readers[:visitor]
			for i := range f.Readers {
				f.Readers[i].Events = append(f.Readers[i].Events[:6:6], check.Event{Gone: true, At: at(60)})
			}
		}},
		"a turn that nobody saw answered before a later one": {check.Lost, "saw no answer", func(f *forge) {
			tail := f.Readers[phone].Events[6:]
			for i := range f.Readers {
				f.Readers[i].Known = 0
				f.Readers[i].Events = slices.Concat([]check.Event{{Gone: true, At: at(22)}}, tail)
			}
		}},
		"a short answer before it was told": {check.Lost, "1 chunks, not 2", func(f *forge) {
			events := f.Readers[phone].Events
			f.Readers[phone].Events = slices.Concat(events[:4], events[5:6], []check.Event{{Gone: true, At: at(20)}}, events[6:])
		}},
		"a gap within a stream after the place": {check.Lost, "chunk 1 after 0", func(f *forge) {
			v := visits(f)
			v.Known = 3
			v.Events = slices.Delete(v.Events[:6], 3, 4)
			v.Until = 1
		}},
		"another text than the prompt asks for, of a log that expired": {check.Diverged, "is not what was to be said", func(f *forge) {
			f.Logs["a2"], f.Read["a2"] = nil, at(40)
			visits(f).Events[8].Event.Chunk.Data = []byte("x")
		}},
		"a short answer, of a log that expired": {check.Diverged, "completed with 1 chunks", func(f *forge) {
			f.Logs["a2"], f.Read["a2"] = nil, at(40)
			f.drop(8, 9)
		}},
		"a gap, of a log that expired": {check.Lost, "chunk 1 after 0 chunks", func(f *forge) {
			f.Logs["a2"], f.Read["a2"] = nil, at(40)
			f.drop(7, 8)
		}},
		"a repetition, of a log that expired": {check.Duplicated, "chunk 0 after 1 chunks", func(f *forge) {
			f.Logs["a2"], f.Read["a2"] = nil, at(40)
			events := f.Readers[phone].Events
			f.Readers[phone].Events = slices.Insert(events, 8, events[7])
			f.Readers[phone].Events[8].Cursor = events[8].Cursor
		}},
		"something after the end, of a log that expired": {check.Duplicated, "after the end", func(f *forge) {
			f.Logs["a2"], f.Read["a2"] = nil, at(40)
			events := f.Readers[phone].Events
			f.Readers[phone].Events = slices.Concat(events, events[9:])
		}},
		"no end, of a log that expired": {check.Stuck, "did not reach the end", func(f *forge) {
			f.Logs["a2"], f.Read["a2"] = nil, at(40)
			f.drop(9, 10)
		}},
		"an input that is gone before its time": {check.Lost, "is not stored", func(f *forge) { f.Logs["t2"] = nil }},
		"a cancelled answer that nobody cancelled": {check.Diverged, "cancelled by nobody", func(f *forge) {
			f.Logs["a2"], f.Read["a2"] = nil, at(40)
			for i := range f.Readers {
				last := len(f.Readers[i].Events) - 1
				f.Readers[i].Events[last].Event.End.State = bus.Cancelled
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := long()
			c.spoil(f)
			wantViolation(t, f, c.kind, c.text)
		})
	}
}

func wantViolation(t *testing.T, f *forge, kind check.Kind, text string) {
	t.Helper()
	found := f.Check()
	if !slices.ContainsFunc(found, func(v check.Violation) bool { return v.Kind == kind && strings.Contains(v.Text, text) }) {
		t.Errorf("want %s: …%s…; got %v", kind, text, found)
	}
}

// wiped is a history without expiry in which an operator took all streams away at second 22, while the second turn, which
// was posted at second 21, was not answered yet. The readers that stayed were told.
func wiped() *forge {
	f := long()
	f.Age = 0
	f.Readers = f.Readers[:visitor]
	f.Wiped = []check.Window{{From: at(22), To: at(22)}}
	for i := range f.Readers {
		f.Readers[i].Events = append(f.Readers[i].Events[:6:6], check.Event{Gone: true, At: at(23)})
	}

	return f
}

func TestWhatAnOperatorTookIsKnown(t *testing.T) {
	t.Parallel()
	f := wiped()
	f.Logs, f.Read = nil, map[string]time.Time{"t1": at(40), "t2": at(40), "a1": at(40)}
	if found := f.Check(); len(found) > 0 {
		t.Errorf("it is blamed on Woodwork: %v", found)
	}
	f.Unposted, f.Wiped = f.Wiped, nil
	for i := range f.Readers {
		f.Readers[i].Events = f.Readers[i].Events[:6]
	}
	f.Logs = sound().Logs
	if found, taken := f.Judge(); len(found) > 0 || len(taken) != len(f.Readers) {
		t.Errorf("letters were taken: %v is blamed on Woodwork, %v on the operator", found, taken)
	}
}

func TestAWipeExcusesNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind  check.Kind
		text  string
		spoil func(f *forge)
	}{
		"a turn that was posted after it": {check.Stuck, "saw no answer", func(f *forge) { f.Turns[1].Posted = at(23) }},
		"a turn after the letters were taken": {check.Stuck, "saw no answer", func(f *forge) {
			f.Turns[1].Posted = at(23)
			f.Unposted, f.Wiped = f.Wiped, nil
			for i := range f.Readers {
				f.Readers[i].Events = f.Readers[i].Events[:6]
			}
		}},
		"a reader that was told before it": {check.Unfounded, "was told", func(f *forge) { f.Readers[phone].Events[6].At = at(21) }},
		"an answer that it did not touch": {check.Lost, "chunk 1 after 0", func(f *forge) {
			f.Readers[phone].Events = slices.Delete(f.Readers[phone].Events, 3, 4)
		}},
		"a visitor whose place it took and who was told nothing": {check.Stuck, "was told nothing", func(f *forge) {
			f.Readers = append(f.Readers, check.Reader{
				Name: "visitor", Component: "llm", Came: at(30), Until: 1, Known: 6, Events: f.Readers[phone].Events[:6],
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := wiped()
			c.spoil(f)
			wantViolation(t, f, c.kind, c.text)
		})
	}
}

// TestPositionsAfterAWipe begin again, which is no turn too early.
func TestPositionsAfterAWipe(t *testing.T) {
	t.Parallel()
	f := long()
	f.Readers = f.Readers[:visitor]
	f.Logs["a2"][0].Position = bus.Position{Minor: 1}
	wantViolation(t, f, check.Overlap, "before turn t1 had ended")
	f.Wiped = []check.Window{{From: at(10), To: at(11)}}
	for _, v := range f.Check() {
		t.Error(v)
	}
}

// cancelled is a history whose second answer goes on for some seconds after its cancel was accepted at second 22.
func cancelled(seconds ...int) *forge {
	f := sound()
	f.Turns[1].Cancel, f.Turns[1].Cancelled = at(21), at(22)
	for i := range f.Readers {
		for j, second := range seconds {
			f.Readers[i].Events[7+j].At = at(22 + second)
		}
	}

	return f
}

func TestCancels(t *testing.T) {
	t.Parallel()
	if found := cancelled(1, 20).Check(); len(found) > 0 {
		t.Errorf("what comes late all at once is blamed: %v", found)
	}
	if found := cancelled(2, 4).Check(); len(found) > 0 {
		t.Errorf("it takes a while until all know of a cancel: %v", found)
	}
	if found := cancelled(6, 7).Check(); len(found) > 0 {
		t.Errorf("what was held up on its way is blamed: %v", found)
	}
	wantViolation(t, cancelled(6, 9), check.Ignored, "go on")

	f := cancelled()
	log := f.Logs["a2"]
	log[0].State, log[0].Lengths, log[0].Body = bus.Cancelled, []int{1}, []byte("a")
	for i := range f.Readers {
		f.Readers[i].Events = slices.Delete(f.Readers[i].Events, 8, 9)
		f.Readers[i].Events[8].Event.End = stream.End{State: bus.Cancelled}
	}
	for _, v := range f.Check() {
		t.Errorf("a cancelled answer is short: %v", v)
	}
	f.Turns[1].Cancel = time.Time{}
	wantViolation(t, f, check.Diverged, "cancelled by nobody")
}
