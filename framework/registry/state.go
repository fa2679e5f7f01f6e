package registry

import "slices"

// State says what an instance is doing as a whole.
type State string

// The states.
const (
	// Initializing: it is there and does not take work yet.
	Initializing State = "initializing"
	// Ready: it takes work.
	Ready State = "ready"
	// Draining: it takes no more work and finishes what it has.
	Draining State = "draining"
	// Failed: it can't work; Instance.Problem says why.
	Failed State = "failed"
	// Terminated: it has said goodbye. This is its last state.
	Terminated State = "terminated"
)

// next lists where each state may lead.
func next(from State) []State {
	switch from {
	case Initializing:
		return []State{Ready, Draining, Failed, Terminated}
	case Ready:
		return []State{Draining, Failed, Terminated}
	case Draining:
		return []State{Failed, Terminated}
	case Failed:
		return []State{Ready, Draining, Terminated}
	default:
		return nil
	}
}

// May reports whether an instance in this state may go to another one. Staying is always allowed.
func (s State) May(to State) bool { return s == to || slices.Contains(next(s), to) }
