package stream

import (
	"math"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// merge turns entries, which may come late, twice or not at all, into the events of one reader. It is the reader's
// place in the stream and the only code that decides what comes next.
type merge struct {
	place bus.Cursor // of the next chunk
	shown uint64     // how many chunks the caller sees; behind place while superseded chunks are passed over
	part  []byte     // what came of the chunk at place, if it travels in parts
	cuts  []cut      // beginnings of attempts that the log is known to hold ahead of place
	begun bool       // a frame was loaded
	many  bool       // of a log that many write, each frame as a writer of its own
	by    string     // who wrote the last frame that was loaded
	ended bool       // the end was delivered
	state bus.State  // the end that was delivered

	frame *bus.Frame // being delivered; nil when done
	begin bool       // its beginning of an attempt is not handled yet
	chunk int        // its next chunk
	byte  int        // where that begins in the body

	trace    map[string]string // of the attempt that is read; nil if its beginning was not
	timeline since             // where the stream's first frame says that it was announced
}

// cut is the beginning of an attempt: it supersedes chunks from first on.
type cut struct {
	attempt uint32
	first   uint64
}

// fit is how a frame relates to a reader's place.
type fit int

const (
	fitDuplicate fit = iota // holds nothing new
	fitNext                 // comes next, or holds what comes next
	fitGap                  // something before it is missing
	fitOther                // is of another life of the log, or of another history of this one
)

// atStart reports whether nothing was read yet, from the beginning on.
func (m *merge) atStart() bool { return m.place.Number() == 0 && !m.begun }

// newMerge returns the merge of a reader that stands at from.
func newMerge(from bus.Cursor) merge { return merge{place: from, shown: from.Index} }

// fit says whether a frame comes next. Within an attempt the index decides; from one attempt to the next, what the
// first frame says it follows.
func (m *merge) fit(f *bus.Frame) fit {
	switch {
	case m.ended:
		return fitDuplicate
	case !m.place.Alive(f.Life), m.usurps(f):
		return fitOther
	case f.Attempt < m.place.Attempt:
		return fitDuplicate
	case f.Attempt > m.place.Attempt:
		if f.Begin && f.After.Number() == m.place.Number() {
			return fitNext
		}

		return fitGap
	case f.First > m.place.Index:
		return fitGap
	case f.First == m.place.Index:
		return fitPart(f.Offset, len(m.part))
	case f.End().Index > m.place.Index || f.State.Final():
		return fitNext
	default:
		return fitDuplicate
	}
}

// usurps reports whether a frame says that it is of the attempt that is read, but another writer's: that attempt was undone by
// a broker that lost the last entries, and another one has taken its number.
func (m *merge) usurps(f *bus.Frame) bool {
	return !m.many && m.by != "" && f.Attempt == m.place.Attempt && f.Writer != m.by
}

// fitPart compares where a part begins with how much of the chunk is there.
func fitPart(offset, have int) fit {
	switch {
	case offset > have:
		return fitGap
	case offset < have:
		return fitDuplicate
	default:
		return fitNext
	}
}

// load takes a frame that comes next.
func (m *merge) load(f *bus.Frame) {
	if !m.begun && f.Begin && f.After == (bus.Cursor{}) {
		m.timeline = announcedSince(f.Meta)
	}
	if f.Begin {
		m.trace = f.Trace
	}
	if f.Life != "" {
		m.place.Life = f.Life
	}
	m.begun, m.by = true, f.Writer
	m.frame, m.chunk, m.byte = f, 0, 0
	m.begin = f.Attempt > m.place.Attempt
}

// next returns the next event of the loaded frame, or false when it has no more.
func (m *merge) next() (Event, bool) {
	f := m.frame
	if f == nil {
		return Event{}, false
	}
	limit := m.limit(f.Attempt)
	if m.begin {
		if ev, ok := m.supersede(f, limit); ok {
			return ev, true
		}
	}
	for m.chunk < len(f.Lengths) {
		if c, ok := m.take(f); ok && c.Index < limit {
			m.shown = c.Index + 1

			return Event{Kind: KindChunk, Chunk: c, Cursor: m.place}, true
		}
	}
	m.frame = nil
	if !f.State.Final() {
		return Event{}, false
	}
	m.ended, m.state = true, f.State
	m.place.Index++ // behind the end, which is not where the last chunk ended

	return Event{Kind: KindEnd, End: endOf(f), Cursor: m.place}, true
}

// supersede moves to the attempt that f begins. There is an event only if chunks that the caller saw are replaced, and
// only for the attempt whose chunks replace them.
func (m *merge) supersede(f *bus.Frame, limit uint64) (Event, bool) {
	m.begin = false
	m.part = nil
	m.place.Attempt, m.place.Index = f.Attempt, f.First
	if f.First >= m.shown || f.First >= limit {
		return Event{}, false
	}
	m.shown = f.First

	return Event{Kind: KindSuperseded, From: f.First, Cursor: m.place}, true
}

// take moves behind the next chunk of f and returns it, unless it was taken before or more of it is to come.
func (m *merge) take(f *bus.Frame) (Chunk, bool) {
	index := f.First + uint64(m.chunk)
	end := m.byte + f.Lengths[m.chunk]
	data := f.Body[m.byte:end:end]
	m.chunk, m.byte = m.chunk+1, end
	if index < m.place.Index {
		return Chunk{}, false
	}
	if f.More {
		m.part = append(m.part, data...)

		return Chunk{}, false
	}
	if len(m.part) > 0 {
		data = append(m.part, data...)
		m.part = nil
	}
	m.place.Index = index + 1

	return Chunk{Index: index, Data: data, Attempt: int(f.Attempt), Type: f.Type}, true
}

// limit returns the index from which on an attempt's chunks are known to be superseded.
func (m *merge) limit(attempt uint32) uint64 {
	limit := uint64(math.MaxUint64)
	for _, c := range m.cuts {
		if c.attempt > attempt {
			limit = min(limit, c.first)
		}
	}

	return limit
}

// superseded reports whether nothing that was written before an entry is visible any more: a later attempt, or the one that
// begins here, has replaced all of it.
func (m *merge) superseded(e *bus.Entry) bool {
	return m.limit(e.Attempt) == 0 || e.Begin && e.First == 0
}

// knows reports whether the beginnings of all attempts up to this one are known, or passed.
func (m *merge) knows(attempt uint32) bool {
	known := max(m.place.Attempt, 1)
	if n := len(m.cuts); n > 0 {
		known = max(known, m.cuts[n-1].attempt)
	}

	return attempt <= known
}

// reserved reports whether a fact is the protocol's own.
func reserved(key string) bool { return key == metaTimeline || key == metaTimelineLife }

// endOf returns how a final frame ends its stream.
func endOf(f *bus.Frame) End {
	end := End{State: f.State, Reason: f.Reason}
	for k, v := range f.Meta {
		if reserved(k) {
			continue
		}
		if end.Meta == nil {
			end.Meta = make(map[string]string, len(f.Meta))
		}
		end.Meta[k] = v
	}

	return end
}
