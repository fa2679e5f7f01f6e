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
	// doubtFor is how long the log may contradict what a reader or writer has seen before it is believed. A server that
	// was just elected can answer from the past.
	doubtFor = 5 * time.Second
	// doubtReplicated is doubtFor where the log has replicas: a leader that is cut off steps down only after 10 to 20 s
	// (lostQuorumInterval and lostQuorumCheck of nats-server), and answers reads from the past until then.
	doubtReplicated = 25 * time.Second
)

// lost says what a reader does about entries that are gone.
type lost int

const (
	// lostFails: it fails with ErrExpired.
	lostFails lost = iota
	// lostBefore: it does without what was before its place: from the beginning it reads the oldest entry that is there, and
	// from the end of one life of the log it goes on with the whole of the next. Anything else fails.
	lostBefore
	// lostPassed: it goes on with what is there.
	lostPassed
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
	if r.hasMissed() {
		r.caughtUp, r.unsure = false, r.applied != bus.Position{}
	}
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
	case last == nil && m.place.Number() == 0:
		r.agree()

		return nil
	case last == nil:
		return r.beginAnew(ctx, false, fmt.Errorf("there is nothing where place %v was: %w", m.place, ErrExpired))
	case m.usurps(&last.Frame), last.Position == r.applied && last.Writer != m.by:
		return r.undone()
	case !m.place.Alive(last.Life):
		err := fmt.Errorf("the log of place %v is gone, another one has begun: %w", m.place, ErrExpired)

		return r.beginAnew(ctx, before(r.applied, last.Position), err)
	}
	behind, err := r.compare(ctx, last)
	if !behind || err != nil {
		return err
	}
	r.caughtUp = false
	if err := r.learnCuts(ctx, last); err != nil {
		return err
	}

	return r.readBacklog(ctx, last)
}

// compare reports whether the log goes on behind the reader's place, as its last entry says, which is of the same life.
func (r *Reader) compare(ctx context.Context, last *bus.Entry) (behind bool, err error) {
	m, end := &r.merge, last.End()
	switch {
	case last.Position == r.applied:
		r.agree()

		return false, r.endIfLost(ctx)
	case last.State.Final() && m.place.Number() == behindEnd(last).Number():
		m.ended = true

		return false, nil
	case m.place.Number() == behindEnd(last).Number() && r.unending != nil:
		return false, r.endAgain(ctx)
	case end.Before(m.place), end.Before(r.least), before(last.Position, r.applied):
		return false, r.doubtful(ctx, fmt.Errorf("the log ends at %v, before place %v: %w", end, m.place, ErrExpired))
	case end.Number() == m.place.Number() && !last.State.Final():
		m.place.Life = end.Life // which a place of an older program doesn't say
		r.agree()

		return false, r.endIfLost(ctx)
	default:
		return true, nil
	}
}

// agree notes that the log ends where the reader is: what contradicted that is over.
func (r *Reader) agree() { r.doubt, r.caughtUp = doubt{}, true }

// beginAnew reads from the beginning again when the log that was read is gone, as far as the reader can do without what
// it has not seen of that. Unless there is a later entry than all that was read, the log is asked again for a while first.
func (r *Reader) beginAnew(ctx context.Context, later bool, err error) error {
	if !later {
		if over, waited := r.believed(ctx, r.store.doubtFor); !over {
			return waited
		}
	}
	if r.lost != lostPassed && (r.lost != lostBefore || !r.caughtUp) {
		return err
	}
	if r.lost == lostBefore {
		r.lost = lostFails // of the new log nothing may be missing
	}
	r.restart()

	return nil
}

// undone reads from the beginning again when the log has lost its last entries, as one of a broker that was killed before it
// had written what it acknowledged, and others have their places. Only a reader that passes over what is lost can do that.
func (r *Reader) undone() error {
	if r.lost != lostPassed {
		return fmt.Errorf("what was before place %v has been undone: %w", r.merge.place, ErrExpired)
	}
	r.restart()

	return nil
}

// restart reads from the beginning again.
func (r *Reader) restart() {
	many := r.merge.many
	r.merge, r.applied, r.backlog = newMerge(bus.Cursor{}), bus.Position{}, nil
	r.merge.many, r.least = many, bus.Cursor{}
	r.fallBehind()
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
	from := r.merge.place
	if r.unsure && from.Index > 0 {
		from.Index-- // with the entry that was merged last, if it is still there
	}
	for e, err := range r.store.log.Read(ctx, last, from) {
		if err != nil {
			return r.readFailed(ctx, err)
		}
		if e.Position == r.applied && e.Writer != r.merge.by {
			return r.undone()
		}
		if e.ID != r.id || r.merge.fit(&e.Frame) == fitDuplicate {
			continue
		}
		r.backlog = append(r.backlog, e)
		bytes += len(e.Body)
		r.unsure = false
		if e.Position == last.Position {
			r.caughtUp = true

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
		return r.mergeBehindGap(e)
	case fitOther:
		r.backlog = nil

		return r.doubtful(ctx, fmt.Errorf("an entry of another log behind %v: %w", r.merge.place, ErrExpired))
	case fitDuplicate:
	}

	return nil
}

// mergeBehindGap merges an entry although entries before it are gone, if the reader can do without them. That they are gone
// is certain: the log says what it holds, and a server that lags lacks the newest entries, not those before.
func (r *Reader) mergeBehindGap(e *bus.Entry) error {
	m := &r.merge
	withoutThem := r.lost == lostPassed || m.atStart() && (r.lost == lostBefore || m.superseded(e))
	if !withoutThem {
		r.backlog = nil

		return fmt.Errorf("entries between %v and %v: %w", m.place, e.End(), ErrExpired)
	}
	m.place = bus.Cursor{Attempt: e.Attempt, Index: e.First, Life: e.Life}
	if e.Offset > 0 { // the rest of a chunk
		m.place.Index++

		return nil
	}
	r.apply(e)

	return nil
}

// doubtful lets the log be asked again; if it says the same for long, err is the answer.
func (r *Reader) doubtful(ctx context.Context, err error) error {
	return r.retry(ctx, err, r.store.doubtFor)
}

// retry waits a little and lets the log be asked again, unless that has gone on for longer than patience.
func (r *Reader) retry(ctx context.Context, err error, patience time.Duration) error {
	over, waited := r.believed(ctx, patience)
	if over {
		return err
	}

	return waited
}

// believed reports whether the log has been asked in vain for longer than patience. Otherwise it waits a little and lets
// the log be asked again.
func (r *Reader) believed(ctx context.Context, patience time.Duration) (over bool, waited error) {
	if r.doubt.over(patience) {
		r.doubt = doubt{}

		return true, nil
	}
	r.fallBehind()

	return false, r.store.pause(ctx, backoff(r.doubt.tries))
}

// visible returns the chunks that a reader of the log up to last sees. It fails with [ErrExpired] when the beginning is
// gone.
func (s *Store) visible(ctx context.Context, last *bus.Entry) ([]Chunk, error) {
	var chunks []Chunk
	var m merge
	for e, err := range s.log.Read(ctx, last, bus.Cursor{}) {
		if err != nil {
			return nil, err
		}
		switch m.fit(&e.Frame) {
		case fitGap, fitOther:
			return nil, fmt.Errorf("entries between %v and %v: %w", m.place, e.End(), ErrExpired)
		case fitDuplicate:
			continue
		case fitNext:
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
