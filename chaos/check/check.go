package check

import (
	"fmt"
	"strconv"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// checker collects the violations of one session.
type checker struct {
	session *Session
	index   map[string]int     // of turns by their id
	answers map[string]*answer // by stream
	found   []Violation

	ends     map[string]map[string]time.Time // when the first reader saw an end, by component and turn
	answered map[int]time.Time               // when the first reader saw the end of a turn
	excused  []Violation                     // of turns that an operator took away
}

// answer is an answering stream as readers know it.
type answer struct {
	turn      int
	component string
	views     map[string][]stream.Event // by reader
	cut       map[string]bool           // readers that need not have reached the end
}

// Check returns everything in the session's history that contradicts the promises.
func (s *Session) Check() []Violation {
	found, _ := s.Judge()

	return found
}

// Judge returns everything in the session's history that contradicts the promises, and besides what would do so, had not
// an operator taken the turn away.
func (s *Session) Judge() (found, taken []Violation) {
	c := &checker{
		session: s, index: make(map[string]int, len(s.Turns)), answers: make(map[string]*answer), ends: s.firstEnds(),
	}
	c.answered = s.answeredAt(c.ends)
	for i := range s.Turns {
		c.index[s.Turns[i].ID] = i
	}
	for i := range s.Readers {
		c.reader(&s.Readers[i])
	}
	for id, a := range c.answers {
		c.answer(id, a)
	}
	c.live()
	c.inputs()
	c.order()
	c.cancels()

	return c.found, c.excused
}

func (c *checker) reportf(kind Kind, turn int, format string, args ...any) {
	c.report(Violation{Kind: kind, Text: fmt.Sprintf(format, args...)}, turn)
}

func (c *checker) report(v Violation, turn int) {
	v.Session = c.session.ID
	if turn >= 0 {
		v.Turn = c.session.Turns[turn].ID
	}
	if turn >= 0 && c.taken(turn) {
		c.excused = append(c.excused, v)

		return
	}
	c.found = append(c.found, v)
}

// view is a reader's way through the session, since it began or was told to begin again.
type view struct {
	*checker

	reader *Reader
	part   int // how often it was told to begin again
	began  time.Time
	at     time.Time // of the last event
	cursor stream.SessionCursor
	open   string         // the stream that is being read
	place  int            // the turn that it answers; -1 before the first
	seen   map[int]string // the stream that answered each turn
	first  int            // the turn that was answered first; -1 before the first
	last   int            // the turn that was answered last; -1 before the first
}

func (c *checker) newView(r *Reader, part int, began time.Time) *view {
	return &view{checker: c, reader: r, part: part, began: began, seen: make(map[int]string), place: -1, first: -1, last: -1}
}

// reader checks the order of a reader's streams, and sorts its events by stream.
func (c *checker) reader(r *Reader) {
	v := c.newView(r, 0, r.Came)
	for i := range r.Events {
		e := &r.Events[i]
		if e.Gone {
			v.gone(e.At)
			v = c.newView(r, v.part+1, e.At)

			continue
		}
		if v.open == "" && i >= r.Known {
			v.begins(e)
		}
		v.step(&e.SessionEvent, e.At)
	}
	v.leave()
}

// served is how long it may take until a reader that asks for the oldest is answered: what was there meanwhile expires.
const served = 5 * time.Second

// begins notes when a reader got what was the oldest then.
func (v *view) begins(e *Event) {
	if e.Began.After(v.began) {
		v.began = e.Began
	}
	if v.began.IsZero() {
		return // before everything
	}
	v.began = v.began.Add(served)
	if e.At.Before(v.began) {
		v.began = e.At
	}
}

// gone checks that a reader was told so for a reason, and that it has all that comes before the place that it had.
func (v *view) gone(at time.Time) {
	if v.place >= 0 && !v.mayBeGone(v.place, at) {
		v.blamef(Unfounded, v.place, "reader %s was told that its place is gone, %v after the turn was posted", v.reader.Name,
			at.Sub(v.session.Turns[v.place].Posted).Round(time.Millisecond))
	}
	v.passedOver()
	v.cut(v.open)
}

// leave checks what a reader has in the end.
func (v *view) leave() {
	v.passedOver()
	until := len(v.session.Turns)
	if !v.reader.Came.IsZero() {
		until = v.reader.Until
		v.cut(v.open)
	}
	if n := v.reader.Known; n > 0 && len(v.reader.Events) == n && Wiped(v.session.Wiped, v.at, v.reader.Came) {
		v.blamef(Stuck, -1, "reader %s was told nothing, and its place had been wiped", v.reader.Name)
	}
	for i := v.last + 1; i < until; i++ {
		t := &v.session.Turns[i]
		// Who saw nothing since it began may have begun too late for this one; and what was wiped can't come any more.
		if !t.Acked || v.last < 0 && !v.began.IsZero() && v.missed(i) || v.wipedSince(i) {
			continue
		}
		v.blamef(Stuck, i, "reader %s saw no answer of %s", v.reader.Name, v.reader.Component)
	}
}

// passedOver checks that nothing is missing before the last answer: nothing at all after the first one, and before that
// nothing that was there when the reader began.
func (v *view) passedOver() {
	for i := range max(v.last, 0) {
		had := v.reader.Known > 0 && v.part == 0 // with its place
		if v.seen[i] != "" || !v.session.Turns[i].Acked || i < v.first && (had || v.missed(i)) {
			continue
		}
		v.blamef(Lost, i, "reader %s saw no answer of %s and one to a later turn", v.reader.Name, v.reader.Component)
	}
}

// cut notes that a reader need not have reached the end of a stream.
func (v *view) cut(id string) {
	if a := v.answers[id]; a != nil {
		a.cut[v.name()] = true
	}
}

// name is the name of a part of what a reader saw.
func (v *view) name() string {
	if v.part == 0 {
		return v.reader.Name
	}

	return v.reader.Name + ", told " + strconv.Itoa(v.part) + " times that its place is gone"
}

// blamef reports what only this reader saw.
func (v *view) blamef(kind Kind, turn int, format string, args ...any) {
	v.report(Violation{Kind: kind, Reader: v.reader.Name, Text: fmt.Sprintf(format, args...)}, turn)
}

func (v *view) step(e *stream.SessionEvent, at time.Time) {
	before := v.at
	v.at = at
	turn, known := v.index[e.Info.Root]
	switch {
	case !known:
		v.blamef(Diverged, -1, "reader %s: stream %s answers %q, which nobody posted", v.reader.Name, e.Info.Stream, e.Info.Root)

		return
	case !after(e.Cursor, v.cursor) && e.Cursor != (stream.SessionCursor{}) && !v.session.anew(before, at):
		v.blamef(Duplicated, turn, "reader %s: cursor %v does not follow %v", v.reader.Name, e.Cursor, v.cursor)
	}
	v.cursor, v.place = e.Cursor, turn
	if e.Event.Kind == stream.KindOpened {
		v.opened(turn, e)

		return
	}
	a := v.answers[e.Info.Stream]
	if a == nil || e.Info.Stream != v.open {
		v.blamef(Disordered, turn, "reader %s: an event of stream %s, which is not open", v.reader.Name, e.Info.Stream)

		return
	}
	a.views[v.name()] = append(a.views[v.name()], e.Event)
}

// opened checks that a stream is the first of its turn, and comes after those of the turns before.
func (v *view) opened(turn int, e *stream.SessionEvent) {
	v.open = e.Info.Stream
	switch {
	case v.seen[turn] != "":
		v.blamef(Duplicated, turn, "reader %s: stream %s answers after %s", v.reader.Name, e.Info.Stream, v.seen[turn])

		return
	case turn < v.last:
		v.blamef(Disordered, turn, "reader %s: answered after turn %s", v.reader.Name, v.session.Turns[v.last].ID)
	}
	v.seen[turn] = e.Info.Stream
	if v.first < 0 {
		v.first = turn
	}
	v.last = max(v.last, turn)
	if v.answers[e.Info.Stream] == nil {
		v.answers[e.Info.Stream] = &answer{
			turn: turn, component: v.reader.Component, views: make(map[string][]stream.Event), cut: make(map[string]bool),
		}
	}
	v.answers[e.Info.Stream].views[v.name()] = []stream.Event{}
}

// after reports whether c is later in its session than d.
func after(c, d stream.SessionCursor) bool {
	return c.Life != d.Life || c.Position > d.Position || c.Position == d.Position && d.Cursor.Before(c.Cursor)
}

// later reports whether p is behind q.
func later(p, q bus.Position) bool {
	return p.Major > q.Major || p.Major == q.Major && p.Minor > q.Minor
}
