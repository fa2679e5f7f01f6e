package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

const (
	// backlogEntries and backlogBytes bound how much a reader reads ahead from the log.
	backlogEntries = 256
	backlogBytes   = 2 * mib
	// doubtFor is how long the log may contradict what a reader or writer has seen before it is believed. A leader
	// that was just elected, or does not know yet that another one was, can answer from the past.
	doubtFor = 5 * time.Second
)

// doubt is since when the log says what can't be true for long, and how often it was asked again. The zero value is
// no doubt.
type doubt struct {
	since time.Time
	tries int
}

// over notes one more such answer and reports whether it has been so for long.
func (d *doubt) over(patience time.Duration) bool {
	d.tries++
	if d.tries == 1 {
		d.since = time.Now()
	}

	return time.Since(d.since) > patience
}

// catchUp reads from the log what the reader has not seen: up to the live entry that showed a gap, or else up to
// the log's end.
func (r *Reader) catchUp(ctx context.Context) error {
	last, err := r.target, error(nil)
	if last == nil {
		last, err = r.store.last(ctx, r.id)
	}
	if err == nil {
		err = r.catchUpTo(ctx, last)
	}
	r.target = nil
	if err != nil {
		r.fallBehind() // the next call goes on here
	}

	return err
}

// catchUpTo reads up to an entry of the log.
func (r *Reader) catchUpTo(ctx context.Context, last *bus.Entry) error {
	m := &r.merge
	switch {
	case last == nil && m.place == (bus.Cursor{}):
		return nil
	case last == nil:
		return r.doubtful(ctx, fmt.Errorf("there is nothing where place %v was: %w", m.place, ErrExpired))
	case last.Position == r.applied:
		return nil
	case last.State.Final() && m.place == behindEnd(last):
		m.ended = true

		return nil
	case last.End().Before(m.place), before(last.Position, r.applied):
		return r.doubtful(ctx, fmt.Errorf("the log ends at %v, before place %v: %w", last.End(), m.place, ErrExpired))
	case last.End() == m.place && !last.State.Final():
		return nil
	}
	if err := r.learnCuts(ctx, last); err != nil {
		return err
	}

	return r.readBacklog(ctx, last)
}

// behindEnd returns the cursor behind the end event of a stream.
func behindEnd(last *bus.Entry) bus.Cursor {
	c := last.End()
	c.Index++

	return c
}

// learnCuts finds where later attempts begin, if there are any, so that what they supersede is passed over instead of
// being delivered and taken back.
func (r *Reader) learnCuts(ctx context.Context, last *bus.Entry) error {
	m := &r.merge
	if m.knows(last.Attempt) {
		return nil
	}
	var cuts []cut
	for e, err := range r.store.log.Read(ctx, last, m.place) {
		if err != nil {
			return r.readFailed(ctx, err)
		}
		if e.Begin && e.Attempt > m.place.Attempt {
			cuts = append(cuts, cut{attempt: e.Attempt, first: e.First})
		}
	}
	m.cuts = cuts

	return nil
}

// readBacklog reads the next entries of the log, not too many at once.
func (r *Reader) readBacklog(ctx context.Context, last *bus.Entry) error {
	bytes := 0
	for e, err := range r.store.log.Read(ctx, last, r.merge.place) {
		if err != nil {
			return r.readFailed(ctx, err)
		}
		if e.ID != r.id || r.merge.fit(&e.Frame) == fitDuplicate {
			continue
		}
		r.backlog = append(r.backlog, e)
		bytes += len(e.Body)
		if e.Position == last.Position {
			return nil
		}
		if len(r.backlog) >= backlogEntries || bytes >= backlogBytes {
			r.fallBehind() // there is more

			return nil
		}
	}
	if len(r.backlog) == 0 {
		return r.doubtful(ctx, fmt.Errorf("nothing is stored behind place %v: %w", r.merge.place, ErrExpired))
	}

	return nil
}

// readFailed waits after a passing failure, and returns any other.
func (r *Reader) readFailed(ctx context.Context, err error) error {
	if errors.Is(err, bus.ErrNotFound) { // what was to be read up to has expired: ask again what there is
		return r.doubtful(ctx, fmt.Errorf("%w: %w", ErrExpired, err))
	}
	if !passing(ctx, err) {
		return err
	}

	return r.retry(ctx, err, r.store.cfg.GiveUp)
}

// mergeStored merges an entry that was read from the log.
func (r *Reader) mergeStored(ctx context.Context, e *bus.Entry) error {
	switch r.merge.fit(&e.Frame) {
	case fitNext:
		r.apply(e)
	case fitGap:
		if r.anyHead && !r.merge.begun && r.merge.place == (bus.Cursor{}) {
			r.merge.place = bus.Cursor{Attempt: e.Attempt, Index: e.First}
			r.apply(e)

			return nil
		}
		r.backlog = nil

		return r.doubtful(ctx, fmt.Errorf("entries between %v and %v: %w", r.merge.place, e.End(), ErrExpired))
	case fitDuplicate:
	}

	return nil
}

// doubtful lets the log be asked again; if it says the same for long, err is the answer.
func (r *Reader) doubtful(ctx context.Context, err error) error { return r.retry(ctx, err, doubtFor) }

// retry waits a little and lets the log be asked again, unless that has gone on for longer than patience.
func (r *Reader) retry(ctx context.Context, err error, patience time.Duration) error {
	if r.doubt.over(patience) {
		r.doubt = doubt{}

		return err
	}
	r.fallBehind()

	return r.store.pause(ctx, backoff(r.doubt.tries))
}

// visible returns the chunks that a reader of the log up to last sees.
func (s *Store) visible(ctx context.Context, last *bus.Entry) ([]Chunk, error) {
	var chunks []Chunk
	var m merge
	for e, err := range s.log.Read(ctx, last, bus.Cursor{}) {
		switch {
		case err != nil:
			return nil, err
		case m.fit(&e.Frame) == fitGap:
			return nil, fmt.Errorf("entries between %v and %v: %w", m.place, e.End(), ErrExpired)
		case m.fit(&e.Frame) == fitDuplicate:
			continue
		}
		m.load(&e.Frame)
		for ev, ok := m.next(); ok; ev, ok = m.next() {
			switch ev.Kind {
			case KindSuperseded:
				chunks = chunks[:ev.From]
			case KindChunk:
				chunks = append(chunks, ev.Chunk)
			case KindEnd, KindOpened:
			}
		}
	}

	return chunks, nil
}
