package load

import (
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/chaos/check"
)

// Age is a class of the ages of cursors.
type Age string

// The classes: without a cursor, and with one that is younger than half of the age to which the bus keeps what is stored,
// than that age, than twice that age, or older.
const (
	NoCursor Age = "from the beginning"
	Young    Age = "younger than half of the age"
	Fresh    Age = "younger than the age"
	Old      Age = "older"
	Ancient  Age = "older than twice the age"
)

// Ages lists the classes in the order of a report.
func Ages() []Age { return []Age{NoCursor, Young, Fresh, Old, Ancient} }

// Visits counts what visitors got.
type Visits struct {
	// WentOn are those that went on from their cursor, Told those that were told that their place is gone, and Wrong those
	// that saw what broke a promise.
	WentOn, Told, Wrong int
}

// ageOf returns the class of a visitor's cursor.
func ageOf(r *check.Reader, age time.Duration) Age {
	if r.Known == 0 {
		return NoCursor
	}
	is := r.Came.Sub(r.Events[r.Known-1].At)
	switch {
	case age == 0 || is < age/2:
		return Young
	case is < age:
		return Fresh
	case is < 2*age:
		return Old
	default:
		return Ancient
	}
}

// judge adds what visitors of a session got, and what an operator took away of it.
func (s *Stats) judge(history *check.Session, found, taken []check.Violation) {
	if s.Visits == nil {
		s.Visits = make(map[Age]Visits)
	}
	s.Excused += len(taken)
	turns := map[string]bool{}
	for i := range taken {
		turns[taken[i].Turn] = true
	}
	s.Taken += len(turns)
	for i := range history.Readers {
		r := &history.Readers[i]
		if r.Came.IsZero() {
			continue
		}
		age := ageOf(r, history.Age)
		v := s.Visits[age]
		switch {
		case slices.ContainsFunc(found, func(v check.Violation) bool { return v.Reader == r.Name }):
			v.Wrong++
		case slices.ContainsFunc(r.Events, func(e check.Event) bool { return e.Gone }):
			v.Told++
		default:
			v.WentOn++
		}
		s.Visits[age] = v
	}
}
