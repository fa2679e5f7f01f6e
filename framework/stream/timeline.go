package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// metaTimeline is where the first frame of a stream says from which position of the timeline on the stream is announced:
// its first announcement there counts. One before it was left by a writer that died, and one behind the first by a writer
// that was fenced. Mostly the position is that of the announcement itself.
const metaTimeline = "timeline"

// metaTimelineLife is where it says of which life of the timeline that position is; absent where the timeline was empty, and
// in frames of older programs. The announcement itself may have begun the timeline anew: then it is the first one there.
const metaTimelineLife = "timeline_life"

// since is from where on a stream may be announced, as its first frame says.
type since struct {
	position uint64 // 0: nobody announces it
	life     string
}

// announcedSince reads what a first frame says.
func announcedSince(meta map[string]string) since {
	position, err := strconv.ParseUint(meta[metaTimeline], 10, 64)
	if err != nil {
		position = 0
	}

	return since{position: position, life: meta[metaTimelineLife]}
}

// in returns the position in a life of the timeline.
func (s since) in(life string) uint64 {
	if s.position > 0 && !(bus.Cursor{Life: s.life}).Alive(life) {
		return 1
	}

	return s.position
}

// timelineID names a session's timeline.
func timelineID(session string) bus.StreamID {
	return bus.StreamID{Session: session, Stream: subjects.Timeline}
}

// maxListed bounds how many sessions a store remembers to have a timeline.
const maxListed = 10_000

// glance looks at the end of the timeline. A new stream in a session that this store has never seen is taken for the first
// one: the announcement finds out.
func (w *Writer) glance(ctx context.Context) (*glance, error) {
	if w.cfg.New && !w.store.hasTimeline(w.cfg.Session) {
		nothing := &glance{done: make(chan struct{})}
		close(nothing.done)

		return nothing, nil
	}

	return w.store.glance(ctx, timelineID(w.cfg.Session))
}

// hasTimeline reports whether this store has announced a stream in a session.
func (s *Store) hasTimeline(session string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, has := s.listed[session]

	return has
}

// noteTimeline notes that a session has a timeline.
func (s *Store) noteTimeline(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listed) >= maxListed {
		clear(s.listed)
	}
	s.listed[session] = struct{}{}
}

// announced is an announcement under way.
type announced struct {
	done chan struct{} // closed when it has its outcome; nil when there is nothing to wait for
	err  error
}

// wait returns when the announcement is stored, or why it is not. The caller's slot serves others meanwhile: the announcement
// may need one.
func (a *announced) wait(s *Store) error {
	if a.done != nil {
		s.release()
		<-a.done
		s.reacquire()
	}

	return a.err
}

// announce begins to put the stream into its session's timeline, where the very first frame goes into an empty log. The
// frame says from where on the announcement may be found, so both may be stored at the same time. A slot is held.
func (w *Writer) announce(ctx context.Context, f *bus.Frame) *announced {
	a := &announced{}
	if w.begun || w.tail != nil || w.cfg.Unlisted {
		return a
	}
	var last *bus.Entry
	if last, a.err = w.store.end(ctx, timelineID(w.cfg.Session), w.timeline); a.err != nil {
		return a
	}
	if f.Meta == nil {
		f.Meta = make(map[string]string, 2)
	}
	f.Meta[metaTimeline] = strconv.FormatUint(nextPosition(last), 10)
	if last != nil && last.Life != "" {
		f.Meta[metaTimelineLife] = last.Life
	}
	put := func() { a.err = w.store.announce(ctx, w.cfg.Session, w.cfg.Info, w.timeline) }
	if !w.store.slots.try() {
		put() // one slot is enough for one after the other

		return a
	}
	a.done = make(chan struct{})
	err := w.store.spawn(func() {
		defer close(a.done)
		defer w.store.release()
		put()
	})
	if err != nil {
		w.store.release()

		return &announced{err: err}
	}

	return a
}

// nextPosition returns that of the next announcement in a timeline that ends with last, counted from 1.
func nextPosition(last *bus.Entry) uint64 {
	if last == nil {
		return 1
	}

	return last.End().Index + 1
}

// announce appends to a session's timeline, whose end was seen a while ago. A slot is held.
func (s *Store) announce(ctx context.Context, session string, info Info, seen *glance) error {
	ctx, cancel := s.limit(ctx)
	defer cancel()
	body, err := json.Marshal(announcement{Info: info, At: time.Now().UnixMilli()})
	if err == nil {
		_, err = s.share(ctx, timelineID(session), body, seen)
	}
	if err != nil {
		return fmt.Errorf("announce stream: %w", err)
	}
	s.noteTimeline(session)

	return nil
}

// confirmAnnounced makes sure that a stream whose log an earlier attempt began is announced: one that died with the first
// frame may have died before that. Whoever stored a second frame had announced it. A writer that only ends what another
// one wrote does not know how to.
func (w *Writer) confirmAnnounced(ctx context.Context, last *bus.Entry) error {
	if w.cfg.Unlisted || w.cfg.Info.Component == "" || !last.Begin || last.After != (bus.Cursor{}) {
		return nil
	}
	announced := announcedSince(last.Meta)
	if announced.position == 0 {
		return nil // whoever wrote the stream did not announce it
	}
	end, err := w.store.end(ctx, timelineID(w.cfg.Session), w.timeline)
	if err != nil {
		return err
	}
	from := announced.position
	if end != nil {
		from = announced.in(end.Life)
	}
	there, err := w.store.announcedWithin(ctx, w.id, end, from, nextPosition(end))
	switch {
	case errors.Is(err, ErrExpired): // it was so long ago that the timeline has expired
		return nil
	case err != nil || there:
		return err
	}
	if err := w.store.acquire(ctx); err != nil {
		return err
	}
	defer w.store.release()

	return w.store.announce(ctx, w.cfg.Session, w.cfg.Info, nil)
}

// announcedWithin reports whether a stream is announced from one position of its session's timeline on and before another.
// end is the timeline's last entry; nil says that it is empty. It fails with [ErrExpired] where it is not, as far as that
// is still known.
func (s *Store) announcedWithin(
	ctx context.Context, id bus.StreamID, end *bus.Entry, from, to uint64,
) (there bool, err error) {
	if from >= to {
		return false, nil
	}
	next := from
	err = s.scan(ctx, end, bus.Cursor{Attempt: 1, Index: from - 1}, func(e *bus.Entry) bool {
		at := e.First + 1
		there = at < to && announces(e, id.Stream)
		if at == next {
			next++
		}

		return !there && at < to
	})
	if err == nil && !there && next < to {
		err = ErrExpired
	}
	if err != nil {
		return false, fmt.Errorf("look for the announcement of %v: %w", id, err)
	}

	return there, nil
}

// announces reports whether an entry of a timeline is about a stream.
func announces(e *bus.Entry, stream string) bool {
	a, err := decodeAnnouncement(e.Body)

	return err == nil && a.Stream == stream
}

// announcement is a chunk of a timeline.
type announcement struct {
	Info

	// At is when the stream was announced, by its writer's clock, in milliseconds since 1970; 0 in those of older programs.
	At int64 `json:"at,omitempty"`
}

func decodeAnnouncement(chunk []byte) (a announcement, err error) {
	if err := json.Unmarshal(chunk, &a); err != nil {
		return a, fmt.Errorf("decode announcement: %w: %w", bus.ErrCorrupt, err)
	}

	return a, nil
}

// time returns when the stream was announced; zero where that isn't known.
func (a *announcement) time() time.Time {
	if a.At == 0 {
		return time.Time{}
	}

	return time.UnixMilli(a.At)
}
