package stream

import (
	"context"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// farewell tells a stream's writer that a component needs no more of it. Nobody acknowledges that, so it is repeated,
// ever more rarely.
type farewell struct {
	id   bus.StreamID
	said []byte
	due  time.Time
	wait time.Duration
}

// Release tells the writer of a stream, if there is one, that an assigned reader needs no more of it. It does not
// wait, and does nothing on a closed store. [Reader.Release] is for those that have a reader.
func (s *Store) Release(ctx context.Context, id bus.StreamID, component string) {
	if checkReader(s, component) != nil {
		return
	}
	f := &farewell{id: id, said: hint{word: hintFree, reader: component}.encode()}
	s.say(ctx, f)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.farewells = append(s.farewells, f)
	if !s.repeating {
		s.repeating = true
		detached := context.WithoutCancel(ctx)
		s.running.Go(func() { s.repeatFarewells(detached) })
	}
}

// repeatFarewells repeats the farewells of all readers, until none has to be.
func (s *Store) repeatFarewells(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.Recheck)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			if !s.sayFarewells(ctx, now) {
				return
			}
		case <-s.closing:
			return
		}
	}
}

// say signals a farewell and sets when it is due again.
func (s *Store) say(ctx context.Context, f *farewell) {
	_ = s.signals.Signal(ctx, f.id, f.said) // is repeated
	f.wait = max(2*f.wait, s.cfg.Recheck)
	f.due = time.Now().Add(f.wait)
}

// dueFarewells takes the farewells that are due out of those that wait.
func (s *Store) dueFarewells(now time.Time) []*farewell {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due, rest []*farewell
	for _, f := range s.farewells {
		if f.due.After(now) {
			rest = append(rest, f)
		} else {
			due = append(due, f)
		}
	}
	s.farewells = rest

	return due
}

// sayFarewells repeats what is due and reports whether there will be more.
func (s *Store) sayFarewells(ctx context.Context, now time.Time) bool {
	var again []*farewell
	for _, f := range s.dueFarewells(now) {
		s.say(ctx, f)
		if f.wait <= s.cfg.RecheckMax { // or else it was said for the last time
			again = append(again, f)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.farewells = append(s.farewells, again...)
	s.repeating = len(s.farewells) > 0

	return s.repeating
}
