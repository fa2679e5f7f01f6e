package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/telemetry"
)

// FollowConfig names a session and says what of it is wanted.
type FollowConfig struct {
	// Session is the session; it need not exist yet. Required.
	Session string
	// From is where to begin. Defaults to the session's beginning: the oldest stream whose beginning is still there.
	From SessionCursor
	// New begins with what is announced after Follow returned, whatever From says. Defaults to false.
	New bool
	// Targets selects the streams by the component that they are meant for. Defaults to "" and "output": what is
	// meant for the user.
	Targets []string
	// All selects every stream that the timeline lists, whatever Targets says. Defaults to false.
	All bool
	// Turn narrows that down to the streams of one turn and of those that follow from it; the others are not read.
	// Defaults to every turn.
	Turn string
}

// selects reports whether a stream is wanted.
func (c *FollowConfig) selects(info *Info) bool {
	if c.Turn != "" && info.Root != c.Turn && info.Turn != c.Turn {
		return false
	}
	if c.All {
		return true
	}
	wanted := c.Targets
	if wanted == nil {
		wanted = []string{"", User}
	}

	return slices.ContainsFunc(strings.Split(info.Target, ","), func(target string) bool {
		return slices.Contains(wanted, target)
	})
}

// User is the target of streams that are meant for the user, as the empty one is.
const User = "output"

// SessionEvent is an event of one of a session's streams.
type SessionEvent struct {
	// Info says which stream it is.
	Info Info
	// Event is what happened; its kind may also be [KindOpened].
	Event Event
	// Cursor is the place behind the event: a follower that begins there goes on with the next one.
	Cursor SessionCursor
}

// Follower reads a session: its streams one after the other, each from its opening to its end, in the order in which
// they were announced. One goroutine at a time may call Next.
type Follower struct {
	store    *Store
	cfg      FollowConfig
	timeline *Reader

	position uint64
	life     string // of the timeline
	info     Info
	at       time.Time // when the stream was announced, by its writer's clock; zero where it doesn't say
	wanted   bool      // the announced stream is to be read next
	stream   *Reader   // nil between streams
	opened   bool      // its opening was reported
	reading  *telemetry.Reading

	current atomic.Pointer[current] // the stream that is read, for whoever hears the timeline
	doubt   doubt                   // that its turn is lost
}

// Follow opens a follower. Whoever opens it must close it.
func (s *Store) Follow(ctx context.Context, cfg FollowConfig) (*Follower, error) {
	from, err := s.begin(ctx, &cfg)
	if err != nil {
		return nil, fmt.Errorf("follow session: %w", err)
	}
	f := &Follower{store: s, cfg: cfg}
	r, err := s.openReader(ctx, timelineID(cfg.Session), from, hearing{overhear: f.overhear})
	if err != nil {
		return nil, fmt.Errorf("follow session: %w", err)
	}
	r.lost, r.merge.many = lostBefore, true
	if !cfg.New && cfg.From.Position > 0 { // the announcement of the stream that was read
		r.least = bus.Cursor{Attempt: 1, Index: cfg.From.Position, Life: cfg.From.Life}
	}
	f.timeline = r

	return f, nil
}

// begin returns where in the timeline a follower begins.
func (s *Store) begin(ctx context.Context, cfg *FollowConfig) (bus.Cursor, error) {
	switch {
	case cfg.New:
		cfg.From = SessionCursor{}

		return s.End(ctx, timelineID(cfg.Session))
	case cfg.From.Position > 0:
		return bus.Cursor{Attempt: 1, Index: cfg.From.Position - 1, Life: cfg.From.Life}, nil
	default:
		return bus.Cursor{}, nil
	}
}

// Close ends the follower. It is idempotent, and must not be called while Next runs: end Next by its context.
func (f *Follower) Close() {
	f.timeline.Close()
	f.leave()
}

// leave ends the reading of the present stream.
func (f *Follower) leave() {
	f.current.Store(nil)
	if f.stream != nil {
		f.reading.End(telemetry.Abandoned)
		f.stream.Close()
		f.stream, f.reading = nil, nil
	}
}

// Next returns the next event of the session and waits for it. A session has no end, so it never returns io.EOF.
//
// Errors are those of [Reader.Next]. After [ErrExpired] what followed the last event is gone: of the stream that was read,
// or of the whole session. Next then goes on with the streams behind it, if there are any, but a reader who wants to miss
// nothing that is there begins again with the zero cursor.
func (f *Follower) Next(ctx context.Context) (SessionEvent, error) {
	for {
		ev, err := f.step(ctx)
		if err != nil {
			return SessionEvent{}, fmt.Errorf("follow session: %w", err)
		}
		if ev.Kind != 0 {
			cursor := SessionCursor{Position: f.position, Life: f.life, Cursor: ev.Cursor}

			return SessionEvent{Info: f.info, Event: ev, Cursor: cursor}, nil
		}
	}
}

// step goes on until the next event, or to or from the next stream without one.
func (f *Follower) step(ctx context.Context) (Event, error) {
	switch {
	case f.stream == nil && !f.wanted:
		return Event{}, f.announcement(ctx)
	case f.stream == nil:
		return Event{}, f.open(ctx)
	case !f.opened:
		return f.begin(ctx)
	}
	ev, err := f.stream.Next(ctx)
	if errors.Is(err, io.EOF) {
		f.leave()

		return Event{}, nil
	}
	if errors.Is(err, ErrExpired) {
		f.leave()
	}
	f.note(ev)

	return ev, err
}

// begin reports the stream's opening, or leaves it if the announcement is not confirmed.
func (f *Follower) begin(ctx context.Context) (Event, error) {
	confirmed, err := f.confirm(ctx)
	if errors.Is(err, ErrExpired) {
		f.leave()
	}
	if err != nil {
		return Event{}, err
	}
	if !confirmed {
		f.leave()

		return Event{}, nil
	}
	f.opened = true
	f.beginReading(ctx)

	return Event{Kind: KindOpened}, nil
}

// announcement waits for the next one.
func (f *Follower) announcement(ctx context.Context) error {
	ev, err := f.timeline.Next(ctx)
	if err != nil {
		return err
	}
	if ev.Kind != KindChunk {
		return fmt.Errorf("the timeline holds more than announcements: %w", bus.ErrCorrupt)
	}
	f.position, f.life = ev.Chunk.Index+1, ev.Cursor.Life
	a, err := decodeAnnouncement(ev.Chunk.Data)
	if err != nil {
		return fmt.Errorf("announcement %d: %w", f.position, err)
	}
	f.info, f.at = a.Info, a.time()
	f.wanted = f.cfg.selects(&f.info)

	return nil
}

// open opens the announced stream, where the follower begins if that is within it.
func (f *Follower) open(ctx context.Context) error {
	var from bus.Cursor
	f.opened = f.position == f.cfg.From.Position && (bus.Cursor{Life: f.cfg.From.Life}).Alive(f.life)
	if f.opened {
		from = f.cfg.From.Cursor
	}
	r, err := f.store.OpenReader(ctx, bus.StreamID{Session: f.cfg.Session, Stream: f.info.Stream}, from)
	if err != nil {
		return err
	}
	r.unending = f.lostTurn
	f.stream, f.wanted, f.doubt = r, false, doubt{}
	f.current.Store(&current{info: f.info, reader: r})

	return nil
}

// confirm waits for the stream's first frame and reports whether it belongs to this announcement. It does not if there is
// none for so long that its writer must have given up, for whoever begins the stream later announces it again; nor if it
// has expired.
func (f *Follower) confirm(ctx context.Context) (bool, error) {
	const patience = 2
	limited, cancel := context.WithTimeoutCause(ctx, patience*f.store.cfg.GiveUp, errGaveUp)
	defer cancel()
	announced, err := f.firstFrame(limited)
	if err != nil && (limited.Err() != nil || errors.Is(err, ErrExpired)) && ctx.Err() == nil {
		if f.cfg.From.Position > 0 && errors.Is(err, ErrExpired) {
			return false, err // who came with a cursor is told what is missing behind it
		}

		return false, nil
	}

	from := announced.in(f.life)
	if err != nil || from == f.position {
		return err == nil, err
	}
	if from == 0 || from > f.position {
		return false, nil // the stream has no announcement, or a later one
	}

	return f.firstFrom(limited, from)
}

// firstFrame waits for the stream's first frame and returns where that says that the stream was announced. It fails with
// [ErrExpired] when there won't be one.
func (f *Follower) firstFrame(ctx context.Context) (announced since, err error) {
	const soon, most = 50 * time.Millisecond, time.Second // nearly always it is there, or comes at once
	for wait := soon; ; wait = min(2*wait, most) {
		try, cancel := context.WithTimeout(ctx, wait)
		announced, err = f.stream.announced(try)
		over := try.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil || !over {
			return announced, err
		}
		if gone, err := f.vanished(ctx); gone || err != nil {
			return since{}, cmp.Or(err, ErrExpired)
		}
	}
}

// clockSkew is how far the clock of a stream's writer may be from that of whoever reads it.
const clockSkew = 10 * time.Minute

// vanished reports whether nothing is stored of the stream and nothing will be under its announcement.
func (f *Follower) vanished(ctx context.Context) (bool, error) {
	over, err := f.givenUp(ctx)
	if err != nil || !over {
		return false, err
	}
	last, err := f.store.last(ctx, f.stream.ID()) // now: it may have begun, and ended, before

	return last == nil, err
}

// givenUp reports whether nobody will begin the stream under its announcement any more: that is gone itself; a later turn
// has begun; or it was made so long ago that its writer has given up since.
func (f *Follower) givenUp(ctx context.Context) (bool, error) {
	end, err := f.store.End(ctx, f.timeline.ID())
	if err != nil || end.Index < f.position || !end.Alive(f.life) {
		return err == nil, err
	}
	if !f.at.IsZero() && time.Since(f.at) > f.store.cfg.GiveUp+clockSkew {
		return true, nil
	}

	return f.overtaken(ctx)
}

// firstFrom reports whether this announcement of the stream is the first one from a position on.
func (f *Follower) firstFrom(ctx context.Context, from uint64) (bool, error) {
	end, err := f.store.last(ctx, f.timeline.ID())
	if err != nil {
		return false, err
	}
	earlier, err := f.store.announcedWithin(ctx, f.stream.ID(), end, from, f.position)
	if errors.Is(err, ErrExpired) { // what was before
		return true, nil
	}

	return err == nil && !earlier, err
}

// announced waits for the first frame and returns from where on it says that the stream was announced.
func (r *Reader) announced(ctx context.Context) (since, error) {
	for !r.merge.begun {
		if err := r.step(ctx); err != nil {
			return since{}, err
		}
	}

	return r.merge.timeline, nil
}
