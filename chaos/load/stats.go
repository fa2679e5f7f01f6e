package load

import (
	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/chaos/hook"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// Stats are the figures of a run.
type Stats struct {
	// Sessions that ran.
	Sessions int
	// Turns that were acknowledged, and Unacked those whose poster gave up.
	Turns, Unacked int
	// Completed turns, and Refused ones, whose prompt asked for a failure and got it.
	Completed, Refused int
	// Cancelled turns, of those that somebody asked to cancel.
	Cancelled int
	// Cancels that were accepted of a turn that was being answered.
	Cancels int
	// Taken are the turns that an operator took away before they were answered, and Excused what of them would have broken
	// a promise.
	Taken, Excused int
	// Gone is how often one of the readers that stayed was told that its place is gone.
	Gone int
	// Visits of readers that came and left, by the age of their cursors and what they got.
	Visits map[Age]Visits
	// Failed turns are those that should have completed and did not.
	Failed int
	// Reasons says why turns failed.
	Reasons map[string]int
	// Chunks that all readers saw, and Superseded how often readers were told of a restart.
	Chunks, Superseded int
	// Breaks is how often a reader's connection broke.
	Breaks int
	// Unread is how many logs could not be read, whose turns then count as lost.
	Unread int
	// Hooks are the faults of handlers that prompts asked for.
	Hooks map[hook.Hook]int
}

// Available returns the share of turns that ended as they should.
func (s *Stats) Available() float64 {
	if s.Turns == 0 {
		return 0
	}

	return min(1, float64(s.Completed+s.Refused+s.Cancelled)/float64(s.Turns)) // more than all is a violation that others count
}

// add adds the figures of a session.
func (s *Stats) add(history *check.Session) {
	if s.Hooks == nil {
		s.Hooks, s.Reasons = make(map[hook.Hook]int), make(map[string]int)
	}
	s.Sessions++
	hooks := make(map[string]hook.Hook, len(history.Turns))
	for i := range history.Turns {
		t := &history.Turns[i]
		if !t.Acked {
			s.Unacked++

			continue
		}
		s.Turns++
		if !t.Cancelled.IsZero() {
			s.Cancels++
		}
		h := hook.In(t.Prompt)
		hooks[t.ID] = h
		if h != hook.None {
			s.Hooks[h]++
		}
	}
	for i := range history.Readers {
		if !history.Readers[i].Came.IsZero() {
			continue // judged apart
		}
		for j := range history.Readers[i].Events {
			e := &history.Readers[i].Events[j]
			s.event(e)
			if h, acked := hooks[e.Info.Root]; i == 1 && acked && e.Event.Kind == stream.KindEnd {
				s.end(e.Event.End, h.Fails())
			}
		}
	}
}

func (s *Stats) event(e *check.Event) {
	if e.Gone {
		s.Gone++
	}
	switch e.Event.Kind {
	case stream.KindChunk:
		s.Chunks++
	case stream.KindSuperseded:
		s.Superseded++
	case stream.KindOpened, stream.KindEnd:
	}
}

// end counts how a turn ended.
func (s *Stats) end(end stream.End, told bool) {
	switch {
	case end.State == bus.Completed:
		s.Completed++
	case end.State == bus.Cancelled:
		s.Cancelled++
	case told:
		s.Refused++
	default:
		s.Failed++
		s.Reasons[end.Reason]++
	}
}

// broke notes that a reader's connection broke.
func (r *Runner) broke() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Breaks++
}
