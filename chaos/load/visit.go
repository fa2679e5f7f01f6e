package load

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/woodwork-go/woodwork/chaos/check"
	"github.com/woodwork-go/woodwork/chaos/sse"
	"github.com/woodwork-go/woodwork/framework/stream"
)

const (
	// visitGap is the mean time between visits of a session.
	visitGap = 1500 * time.Millisecond
	// fromTheBeginning is which share of visitors have no cursor.
	fromTheBeginning = 0.25
	// onTheBus is which share of those read on the bus and not over HTTP.
	onTheBus = 0.5
)

// visits lets readers come and leave, one after another, until over or well is closed: some from the beginning, and others with
// a cursor that they kept from any time of the session, as a browser does whose user comes back after a while.
func (s *session) visits(ctx context.Context, over, well <-chan struct{}) {
	for i := 0; ; i++ {
		timer := time.NewTimer(time.Duration(s.visiting.ExpFloat64() * float64(visitGap)))
		select {
		case <-timer.C:
		case <-over:
		case <-well: // what visitors see would hide that nothing else happens
		case <-ctx.Done():
		}
		timer.Stop()
		if isClosed(over) || isClosed(well) || ctx.Err() != nil {
			return
		}
		s.visit(ctx, well, i)
	}
}

// visit lets one reader come, and leave when it has seen the end of all turns that had ended when it came.
func (s *session) visit(ctx context.Context, well <-chan struct{}, i int) {
	r := s.visitor(i)
	reading, leave := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.read(reading)
	}()
	s.await(ctx, well, func() bool { return r.satisfied() })
	leave()
	<-done
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = append(s.left, r.seen)
}

// visitor makes a reader that comes now.
func (s *session) visitor(i int) *reader {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	phone := s.readers[phoneReader]
	r := &reader{
		session: s, ended: make(map[string]bool), connect: request, try: i,
		seen: check.Reader{Name: "visitor " + strconv.Itoa(i+1), Component: phone.seen.Component, Came: now},
	}
	for n := range s.turns {
		if phone.ended[s.turns[n].ID] {
			r.seen.Until = n + 1
		}
	}
	if s.visiting.Float64() < fromTheBeginning {
		r.told = now
		if s.visiting.Float64() < onTheBus {
			r.connect = func(ctx context.Context, r *reader) error { return r.follow(ctx, "") }
		}

		return r
	}
	from, to := kept(phone.seen.Events, now.Add(-s.age(now)))
	r.seen.Events = slices.Clone(phone.seen.Events[from:to])
	r.seen.Known = len(r.seen.Events)
	if r.seen.Known == 0 {
		r.told = now

		return r
	}
	last := &r.seen.Events[r.seen.Known-1]
	r.cursor, r.decoder = last.Cursor, sse.Resume(last.Info)
	for n := range s.turns {
		if s.turns[n].ID == last.Info.Root {
			r.seen.Until = max(r.seen.Until, n+1)

			break
		}
		r.ended[s.turns[n].ID] = true // it has it
	}
	r.ended[last.Info.Root] = last.Event.Kind == stream.KindEnd

	return r
}

// age draws how old a visitor's cursor is: of each class about as many.
func (s *session) age(now time.Time) time.Duration {
	lived := now.Sub(s.begun)
	bounds := [...]time.Duration{0, lived / 4, lived / 2, lived}
	if s.cfg.Age > 0 {
		bounds = [...]time.Duration{0, s.cfg.Age / 2, 2 * s.cfg.Age, max(lived, 2*s.cfg.Age)}
	}
	i := s.visiting.IntN(len(bounds) - 1)

	return bounds[i] + time.Duration(s.visiting.Float64()*float64(bounds[i+1]-bounds[i]))
}

// kept returns the part of a reader's events that one has who left it at a time: from the opening of the stream that was
// being read. Without any, it returns the first event that can be left at.
func kept(events []check.Event, at time.Time) (from, to int) {
	opening := -1
	for i := range events {
		e := &events[i]
		if to > 0 && e.At.After(at) {
			break
		}
		switch {
		case e.Gone:
			opening = -1
		case e.Event.Kind == stream.KindOpened:
			opening = i
		}
		if opening >= 0 {
			from, to = opening, i+1
		}
	}

	return from, to
}

// satisfied reports whether a visitor has seen all that it came for: when its place had been wiped, that it was told so.
// The lock is held.
func (r *reader) satisfied() bool {
	if n := r.seen.Known; n > 0 && len(r.seen.Events) == n && check.Wiped(r.session.lost, r.seen.Events[n-1].At, r.seen.Came) {
		return false
	}
	for i := range r.session.turns[:r.seen.Until] {
		if r.session.owes(r, &r.session.turns[i]) {
			return false
		}
	}

	return true
}
