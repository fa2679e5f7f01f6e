package check

import (
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/internal/history"
)

// answer checks a stream that answers a turn: its log, what each reader saw of it, and the text.
func (c *checker) answer(id string, a *answer) {
	want := c.session.Turns[a.turn].Answers[a.component]
	log := c.session.Logs[id]
	h := history.New()
	note(h, log, want)
	for name, events := range a.views {
		reader := h.Reader(name)
		for _, ev := range events {
			reader.Saw(ev)
		}
	}
	c.stream(a.turn, h, log)
	if len(log) == 0 {
		return
	}
	last := &log[len(log)-1].Frame
	n, full := int(last.End().Index), len(want.by(log[begin(log):]))
	switch {
	case last.State == bus.Completed && want.State != bus.Completed:
		c.reportf(Diverged, a.turn, "%s completed, but had to end as %s", a.component, want.State)
	case last.State == want.State && n != full && (last.State == bus.Completed || n > full):
		c.reportf(Diverged, a.turn, "%s ended with %d chunks of %d", a.component, n, full)
	case last.State == bus.Completed && len(want.Or) > 0 && !want.Whole(visible(log)):
		c.reportf(Diverged, a.turn, "%s completed with what is not one whole answer", a.component)
	case last.State == bus.Cancelled:
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
	err := h.Check(log)
	if err == nil {
		return
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, err := range all {
		c.reportf(kindOf(err), turn, "%v", err)
	}
}

// live checks that every entry that was stored is part of its log.
func (c *checker) live() {
	for id, entries := range c.session.Live {
		linked := map[bus.Position]bool{}
		for _, e := range c.session.Logs[id] {
			linked[e.Position] = true
		}
		turn := -1
		if a := c.answers[id]; a != nil {
			turn = a.turn
		}
		for _, e := range entries {
			if len(linked) > 0 && !linked[e.Position] {
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
			if log == nil {
				continue
			}
			if before >= 0 && !later(log[0].Position, end(byTurn[before])) {
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
			if before >= 0 && span.First < spans[before].Last {
				c.reportf(Overlap, i, "%s began it before turn %s had ended", component, c.session.Turns[before].ID)
			}
			before = i
		}
	}
}

// end returns the place of a log's last entry.
func end(log []*bus.Entry) bus.Position { return log[len(log)-1].Position }
