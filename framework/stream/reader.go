package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Chunk is one unit that a component sent.
type Chunk struct {
	// Index counts the chunks of a stream from 0.
	Index uint64
	// Data is what was sent. It is shared with other readers and must not be changed.
	Data []byte
	// Attempt is the attempt that wrote the chunk, counted from 1.
	Attempt int
	// Type is what the data is.
	Type bus.DataType
}

// EventKind says what happened in a stream.
type EventKind int

// The kinds of events.
const (
	// KindChunk: the chunk at the end of the text so far.
	KindChunk EventKind = iota + 1
	// KindSuperseded: chunks from index From on are replaced by those that follow.
	KindSuperseded
	// KindEnd: the stream has ended. Nothing follows.
	KindEnd
	// KindOpened: a stream of a session was opened; only a [Follower] reports it.
	KindOpened
)

// Event is one step of a stream. Fields that don't belong to its kind are zero.
type Event struct {
	Kind EventKind
	// Chunk is set for KindChunk.
	Chunk Chunk
	// From is the index of the first chunk that is replaced, for KindSuperseded. It is never beyond what the reader
	// delivered.
	From uint64
	// End is set for KindEnd.
	End End
	// Cursor is the place behind the event: a reader opened there goes on with the next one.
	Cursor bus.Cursor
}

// End says how a stream ended.
type End struct {
	// State is bus.Completed, bus.Failed or bus.Cancelled.
	State bus.State
	// Reason says why, unless it completed.
	Reason string
	// Meta holds what the writer set with SetMeta; nil if nothing.
	Meta map[string]string
}

// Reader reads a stream from a place on: first what is stored, then what comes. What it delivers is stored. One
// goroutine at a time may call Next, Chunks or ReadAll; Close and Cursor may be called at any time by others.
//
// A reader that waits holds no goroutine of its own. Its memory is bounded by [Config].LiveEntries and LiveBytes. It may
// be left at any time without any effect on the stream.
type Reader struct {
	live // shared with the bus

	store *Store
	id    bus.StreamID
	stop  func() // ends the delivery of live entries; idempotent

	assigned *assigned // nil if no writer waits for this reader
	merge    merge
	cursor   bus.Cursor
	applied  bus.Position // of the last entry that was merged
	backlog  []*bus.Entry // read from the log, to be merged before live entries
	target   *bus.Entry   // a live entry with a gap before it
	doubt    doubt
	recheck  recheck
	lost     lost
	least    bus.Cursor       // the log does not end before it, for the reader's caller has seen what is there
	caughtUp bool             // when the log was asked last, it ended where the reader is
	unsure   bool             // entries may have been missed: what was merged last may have been undone, too
	unending unending         // nil where nobody can say
	overhear func(*bus.Entry) // gets every live entry at once; nil: nobody listens
}

// OpenReader opens a reader that stands at a cursor; the zero cursor is the beginning of the stream. The stream need
// not exist yet. Whoever opens a reader must close it.
func (s *Store) OpenReader(ctx context.Context, id bus.StreamID, from bus.Cursor) (*Reader, error) {
	r, err := s.openReader(ctx, id, from, hearing{})
	if err != nil {
		return nil, fmt.Errorf("open reader: %w", err)
	}

	return r, nil
}

// hearing is who hears of a reader, and by a reader, beside its caller. Both may be nil.
type hearing struct {
	assigned *assigned        // tells the writer how far the reader is
	overhear func(*bus.Entry) // gets every live entry at once
}

func (s *Store) openReader(ctx context.Context, id bus.StreamID, from bus.Cursor, h hearing) (*Reader, error) {
	select {
	case <-s.closing:
		return nil, ErrClosed
	default:
	}
	a := h.assigned
	r := &Reader{store: s, id: id, assigned: a, overhear: h.overhear, merge: newMerge(from), cursor: from}
	r.init(&s.cfg)
	stop, err := s.log.Follow(ctx, id, r.deliver)
	if err != nil {
		return nil, err
	}
	r.stop = sync.OnceFunc(func() {
		r.recheck.stop()
		stop()
		if a != nil {
			a.stop()
		}
	})

	return r, nil
}

// ID returns the stream that the reader reads.
func (r *Reader) ID() bus.StreamID { return r.id }

// Cursor returns the place behind the last event that Next returned, or where the reader was opened.
func (r *Reader) Cursor() bus.Cursor {
	r.mu.Lock()
	defer r.mu.Unlock()

	return r.cursor
}

// Close ends the reader: a waiting Next returns [ErrClosed], and so does every later one. It is idempotent.
func (r *Reader) Close() {
	r.close()
	r.stop()
}

// Next returns the next event and waits for it. After the event of [KindEnd] it returns [io.EOF].
//
// Other errors: ctx's; [ErrClosed]; [ErrExpired] when the log doesn't hold what the reader has not seen yet, ends before
// the reader's place, or has begun anew since; bus.ErrCorrupt and bus.ErrUnsupported for entries that can't be read; any
// other error of the bus that lasted longer than [Config].GiveUp. After an error Next may be called again and goes on from
// the same place.
func (r *Reader) Next(ctx context.Context) (Event, error) {
	if r.assigned != nil {
		r.assigned.progress(ctx, r.cursor)
	}
	for {
		if ev, ok := r.merge.next(); ok {
			r.delivered(&ev)

			return ev, nil
		}
		if r.merge.ended {
			r.stop()

			return Event{}, io.EOF
		}
		if err := r.step(ctx); err != nil {
			return Event{}, fmt.Errorf("read stream %v: %w", r.id, err)
		}
	}
}

// Prefetch looks now at what is stored, instead of with the first call of Next, which it must come before. A failure is
// Next's to find out again.
func (r *Reader) Prefetch(ctx context.Context) {
	if err := r.step(ctx); err != nil {
		r.fallBehind()
	}
}

// stored returns the chunks that are stored now, from the reader's place on, without waiting for more.
func (r *Reader) stored(ctx context.Context) ([]Chunk, error) {
	var chunks []Chunk
	for {
		for ev, ok := r.merge.next(); ok; ev, ok = r.merge.next() {
			r.delivered(&ev)
			chunks = append(chunks, ev.Chunk)
		}
		if len(r.backlog) == 0 && r.target == nil && !r.isBehind() {
			return chunks, nil
		}
		if err := r.step(ctx); err != nil {
			return chunks, err
		}
	}
}

// step brings the next entry into the merge, or does what is needed to get it.
func (r *Reader) step(ctx context.Context) error {
	if len(r.backlog) > 0 {
		e := r.backlog[0]
		r.backlog[0] = nil
		r.backlog = r.backlog[1:]
		if len(r.backlog) == 0 {
			r.backlog = nil
		}

		return r.mergeStored(ctx, e)
	}
	if r.target != nil {
		return r.catchUp(ctx)
	}
	e, behind, err := r.take()
	switch {
	case err != nil:
		return err
	case behind:
		return r.catchUp(ctx)
	case e != nil:
		r.mergeLive(e)

		return nil
	default:
		return r.wait(ctx)
	}
}

// mergeLive merges a live entry; one with a gap before it is fetched again from the log, with what is missing.
func (r *Reader) mergeLive(e *bus.Entry) {
	switch r.merge.fit(&e.Frame) {
	case fitNext:
		r.apply(e)
	case fitGap, fitOther:
		r.target = e
	case fitDuplicate:
	}
}

// apply merges an entry that comes next.
func (r *Reader) apply(e *bus.Entry) {
	r.merge.load(&e.Frame)
	r.applied = e.Position
	r.doubt = doubt{}
	r.recheck.rested = 0
}

// delivered notes where the caller is.
func (r *Reader) delivered(ev *Event) {
	if r.assigned != nil {
		r.assigned.bytes += uint64(len(ev.Chunk.Data))
	}
	r.mu.Lock()
	r.cursor = ev.Cursor
	r.mu.Unlock()
}

// Chunks yields the stream's chunks and ends when the stream completed. It ends with an error for everything else:
// [EndError] when the stream failed or was cancelled, [ErrSuperseded] when chunks that were yielded have been
// replaced, and the errors of Next.
func (r *Reader) Chunks(ctx context.Context) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		for {
			ev, err := r.Next(ctx)
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(Chunk{}, err)

				return
			case ev.Kind == KindSuperseded:
				yield(Chunk{}, ErrSuperseded)

				return
			case ev.Kind == KindEnd:
				if ev.End.State != bus.Completed {
					yield(Chunk{}, &EndError{End: ev.End})
				}

				return
			case !yield(ev.Chunk, nil):
				return
			}
		}
	}
}

// ReadAll returns all chunks from the reader's place to the end, joined, so it needs the memory for all of them.
// Chunks that are superseded meanwhile are replaced. For a stream that failed or was cancelled it returns [EndError]
// and what there is; with other errors, what was read so far.
func (r *Reader) ReadAll(ctx context.Context) ([]byte, error) {
	var text []byte
	base := r.Cursor().Index
	var ends []int // ends[i] is where chunk base+i ends in text
	for {
		ev, err := r.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return text, nil
		case err != nil:
			return text, err
		case ev.Kind == KindChunk:
			text = append(text, ev.Chunk.Data...)
			ends = append(ends, len(text))
		case ev.Kind == KindSuperseded && ev.From <= base:
			base, text, ends = ev.From, nil, nil
		case ev.Kind == KindSuperseded:
			ends = ends[:ev.From-base]
			text = text[:ends[len(ends)-1]]
		case ev.Kind == KindEnd && ev.End.State != bus.Completed:
			return text, &EndError{End: ev.End}
		}
	}
}
