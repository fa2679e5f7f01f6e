package check

import (
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/internal/history"
)

// answer checks a stream that answers a turn: its log, what each reader saw of it, and the text.
func (c *checker) answer(id string, a *answer) {
	want := c.session.Turns[a.turn].Answers[a.component]
	log := c.session.Logs[id]
	if read := c.session.Read[id]; !whole(log) && !read.IsZero() && c.mayBeGone(a.turn, read) {
		for name, events := range a.views {
			c.shown(a, name, events, want)
		}

		return
	}
	h := history.New()
	note(h, log, want)
	for name, events := range a.views {
		if a.cut[name] {
			c.part(a.turn, log, want, name, events)

			continue
		}
		saw(h, name, events)
	}
	c.stream(a.turn, h, log)
	if len(log) > 0 {
		c.last(a, log, want)
	}
}

// last checks how a log ends.
func (c *checker) last(a *answer, log []*bus.Entry, want Answer) {
	last := &log[len(log)-1].Frame
	n, full := int(last.End().Index), len(want.by(log[begin(log):]))
	switch {
	case last.State == bus.Completed && want.State != bus.Completed:
		c.reportf(Diverged, a.turn, "%s completed, but had to end as %s", a.component, want.State)
	case last.State.Final() && n != full && (last.State == bus.Completed || n > full):
		c.reportf(Diverged, a.turn, "%s ended with %d chunks of %d", a.component, n, full)
	case last.State == bus.Completed && len(want.Or) > 0 && !want.Whole(visible(log)):
		c.reportf(Diverged, a.turn, "%s completed with what is not one whole answer", a.component)
	case last.State == bus.Cancelled && c.session.Turns[a.turn].Cancel.IsZero():
		c.reportf(Diverged, a.turn, "%s was cancelled by nobody", a.component)
	}
}

func saw(h *history.History, name string, events []stream.Event) {
	reader := h.Reader(name)
	for _, ev := range events {
		reader.Saw(ev)
	}
}

// part checks what a reader saw of a stream that it left before the end.
func (c *checker) part(turn int, log []*bus.Entry, want Answer, name string, events []stream.Event) {
	h := history.New()
	note(h, log, want)
	saw(h, name, events)
	for _, err := range all(h.Check(log)) {
		if kind := kindOf(err); kind != Stuck {
			c.reportf(kind, turn, "%v", err)
		}
	}
}

// shown checks what a reader saw of a stream whose log could not be read while it was stored.
func (c *checker) shown(a *answer, name string, events []stream.Event, want Answer) {
	var text []string
	over := false
	for _, ev := range events {
		switch n := uint64(len(text)); {
		case over:
			c.reportf(Duplicated, a.turn, "reader %s: kind %d after the end", name, ev.Kind)
		case ev.Kind == stream.KindChunk && ev.Chunk.Index > n:
			c.reportf(Lost, a.turn, "reader %s: chunk %d after %d chunks", name, ev.Chunk.Index, n)

			return
		case ev.Kind == stream.KindChunk && ev.Chunk.Index < n:
			c.reportf(Duplicated, a.turn, "reader %s: chunk %d after %d chunks", name, ev.Chunk.Index, n)

			return
		case ev.Kind == stream.KindChunk:
			text = append(text, string(ev.Chunk.Data))
		case ev.Kind == stream.KindSuperseded:
			text = text[:min(ev.From, n)]
		case ev.Kind == stream.KindEnd:
			over = true
			c.ending(a, name, text, ev.End.State, want)
		}
	}
	if !over && !a.cut[name] {
		c.reportf(Stuck, a.turn, "reader %s did not reach the end", name)
	}
	if !want.begins(text) {
		c.reportf(Diverged, a.turn, "reader %s: %q is not what was to be said", name, text)
	}
}

// ending checks how a stream ended whose log could not be read.
func (c *checker) ending(a *answer, name string, text []string, state bus.State, want Answer) {
	switch {
	case state == bus.Completed && (want.State != bus.Completed || !want.Whole(text)):
		c.reportf(Diverged, a.turn, "reader %s: %s completed with %d chunks", name, a.component, len(text))
	case state == bus.Cancelled && c.session.Turns[a.turn].Cancel.IsZero():
		c.reportf(Diverged, a.turn, "%s was cancelled by nobody", a.component)
	}
}

// note tells a history what the writer of each attempt could have sent: the chunks that follow from the prompt.
func note(h *history.History, log []*bus.Entry, want Answer) *history.Writer {
	var w *history.Writer
	for i, e := range log {
		if !e.Begin {
			continue
		}
		w = h.Writer(int(e.Attempt), e.First)
		chunks := want.by(log[i:])
		for _, chunk := range chunks[min(int(e.First), len(chunks)):] {
			w.Send([]byte(chunk))
		}
	}

	return w
}

// stream reports what contradicts within one stream.
func (c *checker) stream(turn int, h *history.History, log []*bus.Entry) {
	for _, err := range all(h.Check(log)) {
		c.reportf(kindOf(err), turn, "%v", err)
	}
}

// all returns the errors that an error joins.
func all(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}

	return []error{err}
}

// live checks that every entry that was stored is part of its log.
func (c *checker) live() {
	for id, entries := range c.session.Live {
		if !whole(c.session.Logs[id]) {
			continue
		}
		linked := map[bus.Position]bool{}
		for _, e := range c.session.Logs[id] {
			linked[e.Position] = true
		}
		turn := -1
		if a := c.answers[id]; a != nil {
			turn = a.turn
		}
		for _, e := range entries {
			if !linked[e.Position] {
				c.reportf(Zombie, turn, "stream %s: attempt %d of writer %s stored chunk %d at %v, beside the log", id, e.Attempt,
					e.Writer, e.First, e.Position)
			}
		}
	}
}

// inputs checks that what was acknowledged is stored.
func (c *checker) inputs() {
	for i := range c.session.Turns {
		t := &c.session.Turns[i]
		if !t.Acked {
			continue
		}
		log := c.session.Logs[t.ID]
		h := history.New()
		w := note(h, log, Answer{Chunks: []string{t.Prompt}})
		if read := c.session.Read[t.ID]; !whole(log) && !read.IsZero() && c.mayBeGone(i, read) {
			continue
		}
		if w == nil {
			c.reportf(Lost, i, "the input was acknowledged and is not stored")

			continue
		}
		w.End(bus.Completed)
		w.Ended()
		c.stream(i, h, log)
	}
}

// order checks that the turns of a component ran one after another: by the places of their frames where those are in
// one order for all streams of the session, else by the order in which the bus told of them.
func (c *checker) order() {
	if c.session.Spans != nil {
		c.spans()

		return
	}
	logs := map[string]map[int][]*bus.Entry{}
	for id, a := range c.answers {
		if log := c.session.Logs[id]; len(log) > 0 {
			if logs[a.component] == nil {
				logs[a.component] = map[int][]*bus.Entry{}
			}
			logs[a.component][a.turn] = log
		}
	}
	for component, byTurn := range logs {
		before := -1
		for i := range c.session.Turns {
			log := byTurn[i]
			if !whole(log) {
				continue
			}
			if before >= 0 && c.comparable(before, i) && !later(log[0].Position, end(byTurn[before])) {
				c.reportf(Overlap, i, "%s began it before turn %s had ended", component, c.session.Turns[before].ID)
			}
			before = i
		}
	}
}

// spans checks that the bus told of nothing of a turn before the last of the turn before.
func (c *checker) spans() {
	byTurn := map[string]map[int]Span{}
	for id, a := range c.answers {
		if span, told := c.session.Spans[id]; told {
			if byTurn[a.component] == nil {
				byTurn[a.component] = map[int]Span{}
			}
			byTurn[a.component][a.turn] = span
		}
	}
	for component, spans := range byTurn {
		before := -1
		for i := range c.session.Turns {
			span, told := spans[i]
			if !told {
				continue
			}
			if before >= 0 && c.comparable(before, i) && span.First < spans[before].Last {
				c.reportf(Overlap, i, "%s began it before turn %s had ended", component, c.session.Turns[before].ID)
			}
			before = i
		}
	}
}

// comparable reports whether one turn had to wait for another: a turn whose letters were taken away is nobody's any more.
func (c *checker) comparable(before, turn int) bool {
	return !c.taken(before) && !c.wipedBetween(before, turn)
}

const (
	// heard is how long after a cancel was accepted every worker must know of it.
	heard = 5 * time.Second
	// ignores is for how long text must come after that for a cancel to count as ignored, since what was held up on its way
	// comes at once.
	ignores = 2 * time.Second
)

// cancels checks that a turn doesn't go on for long after its cancel was accepted.
func (c *checker) cancels() {
	for i := range c.session.Turns {
		t := &c.session.Turns[i]
		if t.Cancelled.IsZero() {
			continue
		}
		for j := range c.session.Readers {
			if r := &c.session.Readers[j]; r.Came.IsZero() && r.wentOn(t.ID, t.Cancelled.Add(heard)) > ignores {
				c.reportf(Ignored, i, "reader %s saw it go on for more than %v after that", r.Name, heard+ignores)
			}
		}
	}
}

// wentOn returns for how long after a time text of a turn came.
func (r *Reader) wentOn(turn string, after time.Time) time.Duration {
	var first, last time.Time
	for i := range r.Events {
		e := &r.Events[i]
		if e.Info.Root != turn || e.Event.Kind != stream.KindChunk || e.At.Before(after) {
			continue
		}
		if first.IsZero() {
			first = e.At
		}
		last = e.At
	}

	return last.Sub(first)
}

// end returns the place of a log's last entry.
func end(log []*bus.Entry) bus.Position { return log[len(log)-1].Position }
