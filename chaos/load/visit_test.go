package load

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/framework/stream"
)

func at(second int) time.Time { return time.Unix(int64(second), 0) }

// events has a stream from second 10 to 13, was told at 20 that its place is gone, and has another stream from 30 on.
func events() []check.Event {
	event := func(kind stream.EventKind, turn string, second int) check.Event {
		return check.Event{At: at(second), SessionEvent: stream.SessionEvent{
			Info: stream.Info{Stream: "a" + turn, Root: turn}, Event: stream.Event{Kind: kind},
		}}
	}

	return []check.Event{
		event(stream.KindOpened, "1", 10), event(stream.KindChunk, "1", 11), event(stream.KindChunk, "1", 12),
		event(stream.KindEnd, "1", 13),
		{Gone: true, At: at(20)},
		event(stream.KindOpened, "2", 30), event(stream.KindEnd, "2", 31),
	}
}

func TestWhatAReaderHasWhoLeft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ second, from, to int }{
		"before everything":   {second: 1, from: 0, to: 1},
		"within a stream":     {second: 12, from: 0, to: 3},
		"after its end":       {second: 15, from: 0, to: 4},
		"after it was told":   {second: 25, from: 0, to: 4},
		"within a later one":  {second: 30, from: 5, to: 6},
		"after all that came": {second: 99, from: 5, to: 7},
	} {
		if from, to := kept(events(), at(c.second)); from != c.from || to != c.to {
			t.Errorf("%s: events %d to %d, not %d to %d", name, from, to, c.from, c.to)
		}
	}
	if from, to := kept(nil, at(1)); from != to {
		t.Errorf("of nothing: events %d to %d", from, to)
	}
}

// visited is a session with turns 1 and 2, whose phone saw the events above, on a bus that keeps for 10 s.
func visited(t *testing.T) *session {
	t.Helper()
	s := New(Config{Seed: 1, Lifelong: 1, Age: 10 * time.Second}, nil, nil, nil, nil).newSession("s", 0)
	t.Cleanup(s.client.CloseIdleConnections)
	for i, second := range []int{9, 29} {
		s.turns = append(s.turns, check.Turn{ID: strconv.Itoa(i + 1), Posted: at(second), Acked: true})
	}
	phone := s.readers[phoneReader]
	phone.seen.Events = events()
	phone.ended["1"], phone.ended["2"] = true, true

	return s
}

func TestVisitorsHaveAPlaceOrNone(t *testing.T) {
	t.Parallel()
	s := visited(t)
	s.begun = time.Now().Add(-time.Minute)
	seen := map[bool]int{}
	for i := range 200 {
		r := s.visitor(i)
		seen[r.seen.Known > 0]++
		if r.seen.Until != 2 || r.seen.Came.IsZero() {
			t.Fatalf("a visitor: %+v", r.seen)
		}
		if r.seen.Known == 0 && r.told.IsZero() || r.seen.Known > 0 && r.seen.Events[0].Event.Kind != stream.KindOpened {
			t.Fatalf("a visitor: %+v", r.seen)
		}
	}
	if seen[true] < 100 || seen[false] < 20 {
		t.Errorf("with a place or without: %v", seen)
	}
}

func TestCursorsOfEachAge(t *testing.T) {
	t.Parallel()
	s := visited(t)
	now := time.Now()
	s.begun = now.Add(-time.Minute)
	seen := map[Age]int{}
	for range 300 {
		r := check.Reader{Came: now, Known: 1, Events: []check.Event{{At: now.Add(-s.age(now))}}}
		seen[ageOf(&r, s.cfg.Age)]++
	}
	for _, age := range Ages() {
		if age != NoCursor && seen[age] < 20 {
			t.Errorf("%d cursors %s", seen[age], age)
		}
	}
}

func TestWhatIsOwedToAReader(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(s *session, r *reader)
		want   []bool
	}{
		"all":                                  {func(*session, *reader) {}, []bool{true, true}},
		"but not what it has":                  {func(_ *session, r *reader) { r.ended["1"] = true }, []bool{false, true}},
		"nor what nobody posted":               {func(s *session, _ *reader) { s.turns[0].Acked = false }, []bool{false, true}},
		"nor what may be gone when it is told": {func(_ *session, r *reader) { r.told = at(30) }, []bool{false, true}},
		"nor what was wiped": {func(s *session, _ *reader) {
			s.lost = []check.Window{{From: at(20), To: at(20)}}
		}, []bool{false, true}},
		"nor what can't be answered": {func(s *session, _ *reader) {
			s.unposted = []check.Window{{From: at(40), To: at(40)}}
			s.readers[phoneReader].ended["2"] = false
		}, []bool{true, false}},
	} {
		s := visited(t)
		r := s.readers[0]
		c.change(s, r)
		if got := []bool{s.owes(r, &s.turns[0]), s.owes(r, &s.turns[1])}; !cmp.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestAVisitorWhosePlaceIsWiped stays until it is told.
func TestAVisitorWhosePlaceIsWiped(t *testing.T) {
	t.Parallel()
	s := visited(t)
	s.lost = []check.Window{{From: at(40), To: at(41)}}
	var r *reader
	for r = s.visitor(0); r.seen.Known == 0; {
		r = s.visitor(0)
	}
	if r.satisfied() {
		t.Error("a visitor leaves before it was told")
	}
	r.gone()
	if !r.satisfied() {
		t.Error("a visitor stays although it was told and nothing is left")
	}
	told, n := r.told, len(r.seen.Events)
	r.gone()
	if !r.told.Equal(told) || len(r.seen.Events) != n {
		t.Error("to be told again counts, so that a reader that is told for ever is owed less and less")
	}
}

func TestVisitsAreCounted(t *testing.T) {
	t.Parallel()
	reader := func(name string, age int, more ...check.Event) check.Reader {
		return check.Reader{Name: name, Came: at(100), Known: 1, Events: append([]check.Event{{At: at(100 - age)}}, more...)}
	}
	var got Stats
	got.judge(&check.Session{Age: 10 * time.Second, Readers: []check.Reader{
		{Name: "phone"},
		{Name: "new", Came: at(100)},
		reader("a", 1),
		reader("b", 6),
		reader("c", 11, check.Event{Gone: true}),
		reader("d", 30, check.Event{Gone: true}),
		reader("e", 30),
	}}, []check.Violation{{Reader: "e"}}, []check.Violation{{Turn: "1"}, {Turn: "1"}, {Turn: "2"}})
	want := Stats{Taken: 2, Excused: 3, Visits: map[Age]Visits{
		NoCursor: {WentOn: 1}, Young: {WentOn: 1}, Fresh: {WentOn: 1}, Old: {Told: 1}, Ancient: {Told: 1, Wrong: 1},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
}

// TestWhims are drawn for sessions that live through the run only.
func TestWhims(t *testing.T) {
	t.Parallel()
	s := visited(t)
	s.random = rand.New(rand.NewPCG(1, 1))
	seen := map[whim]int{}
	for range 1000 {
		seen[s.draw()]++
	}
	for w := nothing; w <= leaveIt; w++ {
		if seen[w] < 20 {
			t.Errorf("whim %d: %d of 1000", w, seen[w])
		}
	}
	s.number = 1
	for range 100 {
		if w := s.draw(); w != nothing {
			t.Fatalf("whim %d of a session that ends soon", w)
		}
	}
}

// TestWhatACancelOfTheSessionMayEnd are the turns whose end somebody has not seen.
func TestWhatACancelOfTheSessionMayEnd(t *testing.T) {
	t.Parallel()
	s := visited(t)
	for _, r := range s.readers {
		r.ended["1"] = true
	}
	s.mayCancel()
	if first, second := s.turns[0].Cancel.IsZero(), s.turns[1].Cancel.IsZero(); !first || second {
		t.Errorf("spared: %v, %v", first, second)
	}
}
