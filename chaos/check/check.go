package check

import (
	"fmt"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// checker collects the violations of one session.
type checker struct {
	session *Session
	index   map[string]int     // of turns by their id
	answers map[string]*answer // by stream
	found   []Violation
}

// answer is an answering stream as readers know it.
type answer struct {
	turn      int
	component string
	views     map[string][]stream.Event // by reader
}

// Check returns everything in the session's history that contradicts the promises.
func (s *Session) Check() []Violation {
	c := &checker{session: s, index: make(map[string]int, len(s.Turns)), answers: make(map[string]*answer)}
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

	return c.found
}

func (c *checker) reportf(kind Kind, turn int, format string, args ...any) {
	v := Violation{Kind: kind, Session: c.session.ID, Text: fmt.Sprintf(format, args...)}
	if turn >= 0 {
		v.Turn = c.session.Turns[turn].ID
	}
	c.found = append(c.found, v)
}

// view is a reader's way through the session.
type view struct {
	*checker

	reader *Reader
	cursor stream.SessionCursor
	open   string         // the stream that is being read
	seen   map[int]string // the stream that answered each turn
	last   int            // the turn that was answered last
}

// reader checks the order of a reader's streams, and sorts its events by stream.
func (c *checker) reader(r *Reader) {
	v := &view{checker: c, reader: r, seen: make(map[int]string), last: -1}
	for i := range r.Events {
		v.step(&r.Events[i].SessionEvent)
	}
	for i := range c.session.Turns {
		if v.seen[i] != "" || !c.session.Turns[i].Acked {
			continue
		}
		kind := Stuck
		if i < v.last {
			kind = Lost // it was passed over
		}
		c.reportf(kind, i, "reader %s saw no answer of %s", r.Name, r.Component)
	}
}

func (v *view) step(e *stream.SessionEvent) {
	turn, known := v.index[e.Info.Root]
	switch {
	case !known:
		v.reportf(Diverged, -1, "reader %s: stream %s answers %q, which nobody posted", v.reader.Name, e.Info.Stream, e.Info.Root)

		return
	case !after(e.Cursor, v.cursor) && e.Cursor != (stream.SessionCursor{}):
		v.reportf(Duplicated, turn, "reader %s: cursor %v does not follow %v", v.reader.Name, e.Cursor, v.cursor)
	}
	v.cursor = e.Cursor
	if e.Event.Kind == stream.KindOpened {
		v.opened(turn, e)

		return
	}
	a := v.answers[e.Info.Stream]
	if a == nil || e.Info.Stream != v.open {
		v.reportf(Disordered, turn, "reader %s: an event of stream %s, which is not open", v.reader.Name, e.Info.Stream)

		return
	}
	a.views[v.reader.Name] = append(a.views[v.reader.Name], e.Event)
}

// opened checks that a stream is the first of its turn, and comes after those of the turns before.
func (v *view) opened(turn int, e *stream.SessionEvent) {
	v.open = e.Info.Stream
	switch {
	case v.seen[turn] != "":
		v.reportf(Duplicated, turn, "reader %s: stream %s answers after %s", v.reader.Name, e.Info.Stream, v.seen[turn])

		return
	case turn < v.last:
		v.reportf(Disordered, turn, "reader %s: answered after turn %s", v.reader.Name, v.session.Turns[v.last].ID)
	}
	v.seen[turn] = e.Info.Stream
	v.last = max(v.last, turn)
	if v.answers[e.Info.Stream] == nil {
		v.answers[e.Info.Stream] = &answer{turn: turn, component: v.reader.Component, views: make(map[string][]stream.Event)}
	}
	v.answers[e.Info.Stream].views[v.reader.Name] = []stream.Event{}
}

// after reports whether c is later in its session than d.
func after(c, d stream.SessionCursor) bool {
	return c.Position > d.Position || c.Position == d.Position && d.Cursor.Before(c.Cursor)
}

// later reports whether p is behind q.
func later(p, q bus.Position) bool {
	return p.Major > q.Major || p.Major == q.Major && p.Minor > q.Minor
}
