package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/chaos/provider"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/llm/answer"
)

// screenOf is the reader whose view decides: a user's, over HTTP.
const screenOf = "phone"

// tally counts what became of turns, from their users' point of view. Its methods may be called concurrently.
type tally struct {
	mu        sync.Mutex
	turns     int
	succeeded int
	by        map[string]int // answers, by who gave them
	handed    int            // answers that one provider began and the other one gave
	misled    int            // answers that say that somebody else gave them
	why       map[string]int // turns that did not succeed
	took      []time.Duration
	down      time.Duration
	modes     map[string]int
}

func newTally() *tally {
	return &tally{by: map[string]int{}, why: map[string]int{}, modes: map[string]int{}}
}

// wasDown notes a time in which the first provider was down.
func (t *tally) wasDown(s provider.Spell) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.down += s.To - s.From
	t.modes[string(s.Mode)]++
}

// answered is what a reader has of a turn's answer.
type answered struct {
	chunks []string
	end    stream.End
	at     time.Time // of the end
	began  []string  // the first chunks of what was replaced
}

// add counts the turns of a session, also those whose post was never acknowledged.
func (t *tally) add(s *check.Session) {
	views := map[string]map[string]*answered{}
	for i := range s.Readers {
		views[s.Readers[i].Name] = read(&s.Readers[i])
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range s.Turns {
		t.turn(&s.Turns[i], views[screenOf][s.Turns[i].ID], views["llm on the bus"][s.Turns[i].ID])
	}
}

// read returns what a reader has of each turn's answer in the end.
func read(r *check.Reader) map[string]*answered {
	all := map[string]*answered{}
	for i := range r.Events {
		e := &r.Events[i]
		a := all[e.Info.Root]
		if a == nil {
			a = &answered{}
			all[e.Info.Root] = a
		}
		switch e.Event.Kind {
		case stream.KindChunk:
			a.chunks = append(a.chunks, string(e.Event.Chunk.Data))
		case stream.KindSuperseded:
			if len(a.chunks) > 0 {
				a.began = append(a.began, a.chunks[0])
			}
			a.chunks = a.chunks[:min(int(e.Event.From), len(a.chunks))]
		case stream.KindEnd:
			a.end, a.at = e.Event.End, e.At
		case stream.KindOpened:
		}
	}

	return all
}

// turn counts a turn as the user's screen and a reader of the model's stream show it. The lock is held.
func (t *tally) turn(turn *check.Turn, screen, model *answered) {
	t.turns++
	why := failure(turn, screen)
	if why != "" {
		t.why[why]++

		return
	}
	t.succeeded++
	t.took = append(t.took, screen.at.Sub(turn.Posted))
	who := gave(turn, screen.chunks)
	t.by[who]++
	if model == nil || len(model.chunks) == 0 {
		return // its reader is told of by the check
	}
	if slices.ContainsFunc(model.began, func(first string) bool { return first != model.chunks[0] }) {
		t.handed++
	}
	if _, instead := model.end.Meta[answer.MetaFallbackFor]; instead != (who == fallback) {
		t.misled++
	}
}

// failure says why a turn did not succeed; "" when it did.
func failure(turn *check.Turn, screen *answered) string {
	switch {
	case screen == nil || screen.at.IsZero():
		return "no end"
	case screen.end.State != bus.Completed:
		return fmt.Sprintf("%s: %.200s", screen.end.State, screen.end.Reason)
	case gave(turn, screen.chunks) == "":
		return "not one whole answer"
	case screen.at.Sub(turn.Posted) > patience:
		return fmt.Sprintf("took longer than %v", patience)
	default:
		return ""
	}
}

// worst returns the most frequent reasons why turns did not succeed.
func (t *tally) worst() []string {
	const most = 8
	reasons := slices.SortedFunc(maps.Keys(t.why), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.why[b], t.why[a]), cmp.Compare(a, b))
	})

	return reasons[:min(len(reasons), most)]
}

// available returns the share of turns that succeeded.
func (t *tally) available() float64 {
	if t.turns == 0 {
		return 0
	}

	return float64(t.succeeded) / float64(t.turns)
}
