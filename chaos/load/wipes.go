package load

import (
	"slices"
	"sync"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// Wipe is what an operator took away: all streams of some sessions, or the turns of theirs that waited or ran.
type Wipe struct {
	check.Window

	// Among reports whether a session is one of them.
	Among func(session string) bool
	// Letters says that it was the turns.
	Letters bool
}

// wipes are all wipes of a run so far.
type wipes struct {
	mu  sync.Mutex
	all []Wipe
}

func (w *wipes) add(wipe Wipe) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, wipe)
}

// of returns when a session's streams were taken away, and when its turns were.
func (w *wipes) of(session string) (logs, letters []check.Window) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.all {
		wipe := &w.all[i]
		switch {
		case !wipe.Among(session):
		case wipe.Letters:
			letters = append(letters, wipe.Window)
		default:
			logs = append(logs, wipe.Window)
		}
	}

	return logs, letters
}

// Wiped notes that something was wiped, so that no session waits for what is gone.
func (r *Runner) Wiped(wipe Wipe) {
	r.wipes.add(wipe)
	r.mu.Lock()
	present := make([]*session, 0, len(r.present))
	for s := range r.present {
		present = append(present, s)
	}
	r.mu.Unlock()
	for _, s := range present {
		s.wiped()
	}
}

// wiped looks at what was wiped and wakes whoever waits.
func (s *session) wiped() {
	logs, letters := s.wipes.of(s.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost, s.unposted = logs, letters
	s.happened()
}

// owes reports whether a reader may still wait for the end of a turn. The lock is held.
func (s *session) owes(r *reader, t *check.Turn) bool {
	if !t.Acked || r.ended[t.ID] {
		return false
	}
	before := func(w check.Window) bool { return !t.Posted.After(w.To) }
	if slices.ContainsFunc(s.lost, before) || slices.ContainsFunc(s.unposted, before) && !s.answered(t) {
		return r.within(t.ID) // it will be told that the rest is gone
	}

	return r.told.IsZero() || !s.answered(t) || s.ends[t.ID].After(r.told) || !(&check.Session{Age: s.cfg.Age}).MayBeGone(t, r.told)
}

// within reports whether the reader is in the middle of a turn's answer. The session's lock is held.
func (r *reader) within(turn string) bool {
	n := len(r.seen.Events)
	if n == 0 {
		return false
	}
	last := &r.seen.Events[n-1]

	return !last.Gone && last.Event.Kind != stream.KindEnd && last.Info.Root == turn
}

// answered reports whether a reader saw the end of a turn. The lock is held.
func (s *session) answered(t *check.Turn) bool {
	return slices.ContainsFunc(s.readers, func(r *reader) bool { return r.seen.Component == relays && r.ended[t.ID] })
}
