package check

import (
	"slices"
	"time"
)

// Window is a time whose acknowledgements the death of the server may have undone, because its durability class allows
// that.
type Window struct{ From, To time.Time }

// holds reports whether a window overlaps the time between two others.
func (w Window) holds(from, to time.Time) bool { return !to.Before(w.From) && !from.After(w.To) }

// Undone parts violations by what explains them.
type Undone struct {
	// Broken are those that nothing explains.
	Broken []Violation
	// Missing are those of what was acknowledged in a window: the turn need not be answered, and of what a reader saw of
	// it another version may be stored.
	Missing []Violation
	// After are those of turns that were acknowledged later, in a session in which something is missing: cursors count
	// what was announced, so a reader who saw what is missing may pass over as much of what comes then.
	After []Violation
}

// Excuse parts the violations of a session. A turn that was acknowledged before every window must come to its end
// whatever happened.
func (s *Session) Excuse(found []Violation, windows []Window) Undone {
	var (
		u    Undone
		rest []Violation
		from time.Time // when the first window began that explains anything
	)
	for _, v := range found {
		i := slices.IndexFunc(windows, func(w Window) bool { return s.excuses(&v, w) })
		if i < 0 {
			rest = append(rest, v)

			continue
		}
		u.Missing = append(u.Missing, v)
		if from.IsZero() || windows[i].From.Before(from) {
			from = windows[i].From
		}
	}
	for _, v := range rest {
		if len(u.Missing) > 0 && s.ackedAfter(v.Turn, from) && (v.Kind == Lost || v.Kind == Stuck || v.Kind == Disordered) {
			u.After = append(u.After, v)
		} else {
			u.Broken = append(u.Broken, v)
		}
	}

	return u
}

func (s *Session) excuses(v *Violation, w Window) bool {
	return s.acked(v.Turn, w) || v.Kind != Lost && v.Kind != Stuck && s.seen(v.Turn, w)
}

// acked reports whether a window has the acknowledgement of a turn.
func (s *Session) acked(turn string, w Window) bool {
	return slices.ContainsFunc(s.Turns, func(t Turn) bool { return t.ID == turn && t.Acked && w.holds(t.Asked, t.Told) })
}

func (s *Session) ackedAfter(turn string, from time.Time) bool {
	return slices.ContainsFunc(s.Turns, func(t Turn) bool { return t.ID == turn && t.Acked && t.Asked.After(from) })
}

// seen reports whether a reader saw anything of a turn in a window.
func (s *Session) seen(turn string, w Window) bool {
	return slices.ContainsFunc(s.Readers, func(r Reader) bool {
		return slices.ContainsFunc(r.Events, func(e Event) bool { return e.Info.Root == turn && w.holds(e.At, e.At) })
	})
}
