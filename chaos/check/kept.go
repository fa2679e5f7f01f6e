package check

import (
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// slack is by how much what the poster's clock says of a turn may differ from what the bus did.
const slack = time.Second

// taken reports whether an operator took away a turn, or its letters, before it was answered.
func (c *checker) taken(turn int) bool {
	t := &c.session.Turns[turn]
	open := func(w Window) bool {
		return !t.Posted.After(w.To) && (c.answered[turn].IsZero() || !c.answered[turn].Before(w.From))
	}

	return slices.ContainsFunc(c.session.Wiped, open) || slices.ContainsFunc(c.session.Unposted, open)
}

// answeredAt returns when the first reader saw the end of each turn: that of the component that answers last. Of a turn
// that is not answered it returns the zero time.
func (s *Session) answeredAt(first map[string]map[string]time.Time) map[int]time.Time {
	answered := map[int]time.Time{}
	for i := range s.Turns {
		var last time.Time
		for _, ends := range first {
			at, seen := ends[s.Turns[i].ID]
			if !seen {
				last = time.Time{}

				break
			}
			if at.After(last) {
				last = at
			}
		}
		answered[i] = last
	}

	return answered
}

// firstEnds returns when somebody first saw the end of each turn, by component and turn.
func (s *Session) firstEnds() map[string]map[string]time.Time {
	first := map[string]map[string]time.Time{}
	for i := range s.Readers {
		r := &s.Readers[i]
		if first[r.Component] == nil {
			first[r.Component] = map[string]time.Time{}
		}
		r.ends(first[r.Component])
	}

	return first
}

// ends notes when a reader saw the end of each turn, where that is earlier than what is noted.
func (r *Reader) ends(first map[string]time.Time) {
	for i := range r.Events {
		e := &r.Events[i]
		if at, seen := first[e.Info.Root]; e.Event.Kind == stream.KindEnd && (!seen || e.At.Before(at)) {
			first[e.Info.Root] = e.At
		}
	}
}

func (c *checker) mayBeGone(turn int, at time.Time) bool {
	return c.session.MayBeGone(&c.session.Turns[turn], at)
}

// missed reports whether a reader that began at a time need not have seen the answer to a turn, because it may have
// expired by then. Of one that nobody saw nobody knows that it was there.
func (v *view) missed(turn int) bool {
	id := v.session.Turns[turn].ID
	_, own := v.ends[v.reader.Component][id]
	_, last := v.ends[v.session.Last][id]

	return (own || last) && v.mayBeGone(turn, v.began)
}

// wipedSince reports whether a turn's streams were wiped at any time.
func (c *checker) wipedSince(turn int) bool {
	return slices.ContainsFunc(c.session.Wiped, func(w Window) bool { return !c.session.Turns[turn].Posted.After(w.To) })
}

// MayBeGone reports whether what was stored for a turn may not be there any more at a time.
func (s *Session) MayBeGone(t *Turn, at time.Time) bool {
	if s.Age > 0 && at.Sub(t.Posted) > s.Age-slack {
		return true
	}

	return slices.ContainsFunc(s.Wiped, func(w Window) bool { return !t.Posted.After(w.To) && !at.Before(w.From) })
}

// Wiped reports whether all that was stored at a time had been wiped at another.
func Wiped(windows []Window, stored, at time.Time) bool {
	return slices.ContainsFunc(windows, func(w Window) bool { return stored.Before(w.From) && at.After(w.To) })
}

// anew reports whether the timeline may have begun anew between two times: it was wiped, or all of it is too old.
func (s *Session) anew(from, to time.Time) bool {
	if s.Age > 0 && to.Sub(from) > s.Age-slack {
		return true
	}

	return slices.ContainsFunc(s.Wiped, func(w Window) bool { return w.holds(from.Add(-slack), to) })
}

// wipedBetween reports whether positions of two turns can't be compared, because the log began anew between them.
func (c *checker) wipedBetween(before, turn int) bool {
	return slices.ContainsFunc(c.session.Wiped, func(w Window) bool {
		return !c.session.Turns[before].Posted.After(w.To) && !c.session.Turns[turn].Posted.Before(w.From)
	})
}

// whole reports whether a log has its first entry, which is behind no other.
func whole(log []*bus.Entry) bool { return len(log) > 0 && log[0].After == (bus.Cursor{}) }
