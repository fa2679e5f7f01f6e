package stream

import (
	"context"
	"slices"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// unending reports whether nobody will go on with a stream that has no end.
type unending func(ctx context.Context) (bool, error)

// reasonLostTurn is what a follower says of a stream whose turn was lost.
const reasonLostTurn = "the turn was lost"

// current is the stream that a follower reads.
type current struct {
	info   Info
	reader *Reader
}

// overtaken reports whether a later announcement says that the turn which writes this stream is over: turns of one
// component and session run one after another, and each ends its streams first.
func (i *Info) overtaken(later *Info) bool {
	return i.Component != "" && i.Component == later.Component && i.Turn != later.Turn && i.writtenByTurn() && later.writtenByTurn()
}

// writtenByTurn reports whether the stream is the output of a turn, and not a turn's input that somebody posted.
func (i *Info) writtenByTurn() bool { return i.Turn != "" && i.Turn != i.Stream }

// overhear lets the stream that is read look at its log when a later turn of its component is announced.
func (f *Follower) overhear(e *bus.Entry) {
	c := f.current.Load()
	if c == nil {
		return
	}
	if a, err := decodeAnnouncement(e.Body); err == nil && c.info.overtaken(&a.Info) {
		c.reader.fallBehind()
		c.reader.rouse()
	}
}

// lostTurn reports whether the turn that writes the stream is over although the stream has no end, as after somebody
// deleted the turns that were stored. The stream's log has just been asked; where it has replicas, the server that
// answered may not know the end yet, so that has to be so for long.
func (f *Follower) lostTurn(ctx context.Context) (bool, error) {
	later, err := f.overtaken(ctx)
	if err != nil || !later {
		f.doubt = doubt{}

		return false, err
	}
	last, err := f.store.last(ctx, f.stream.ID()) // once more: it may have ended before the later turn began
	if err != nil || last != nil && last.State.Final() {
		f.stream.fallBehind()

		return false, err
	}
	if f.store.replicated && !f.doubt.over(f.store.doubtFor) {
		return false, nil
	}

	return true, nil
}

// overtaken reports whether a later turn of the stream's component has begun to write. An announcement alone doesn't say
// so: an instance that was declared dead may announce the stream of an earlier turn once more.
func (f *Follower) overtaken(ctx context.Context) (bool, error) {
	if !f.info.writtenByTurn() {
		return false, nil
	}
	end, err := f.store.last(ctx, f.timeline.ID())
	if err != nil {
		return false, err
	}
	var streams []string
	err = f.store.scan(ctx, end, bus.Cursor{Attempt: 1, Index: f.position}, func(e *bus.Entry) bool {
		if a, err := decodeAnnouncement(e.Body); err == nil && f.info.overtaken(&a.Info) {
			streams = append(streams, a.Stream)
		}

		return true
	})
	for _, stream := range slices.Backward(streams) { // the last ones are the likeliest to be there
		from, err := f.store.announcedFrom(ctx, bus.StreamID{Session: f.cfg.Session, Stream: stream})
		if err != nil || from.position > f.position && from.life == f.life {
			return err == nil, err
		}
	}

	return false, err
}

// announcedFrom returns from where on a stream says that it is announced; zero where nothing of its beginning is stored.
func (s *Store) announcedFrom(ctx context.Context, id bus.StreamID) (from since, err error) {
	last, err := s.last(ctx, id)
	if err != nil {
		return since{}, err
	}
	err = s.scan(ctx, last, bus.Cursor{}, func(e *bus.Entry) bool {
		from = announcedSince(e.Meta)

		return false
	})

	return from, err
}

// endIfLost ends the stream for its reader where nobody will go on with it.
func (r *Reader) endIfLost(ctx context.Context) error {
	if r.unending == nil {
		return nil
	}
	over, err := r.unending(ctx)
	if err != nil || !over {
		return err
	}
	m := &r.merge
	m.frame, m.chunk, m.byte, m.begin = &bus.Frame{
		ID: r.id, Attempt: m.place.Attempt, First: m.place.Index, Life: m.place.Life, State: bus.Failed, Reason: reasonLostTurn,
	}, 0, 0, false

	return nil
}

// endAgain passes over the end of a stream that its reader was told before.
func (r *Reader) endAgain(ctx context.Context) error {
	over, err := r.unending(ctx)
	if err != nil {
		return err
	}
	if !over {
		return r.doubtful(ctx, ErrExpired)
	}
	r.merge.ended = true

	return nil
}
