package natsbus

import (
	"fmt"
	"slices"

	"github.com/woodwork-go/woodwork/framework/bus"
)

const (
	// readWindow is how many entries a read fetches at once, and holds at most but for a few per level of links.
	readWindow = 64
	// readBytes is how many bytes they should hold at most; one entry is always fetched.
	readBytes = 8 << 20
	// locateFirst is how many entries a read looks at first to find where it begins; it doubles with each round.
	locateFirst = 4
)

// linkReader walks over links from a log's last frame back to where a reader stands, and then forward in order.
type linkReader struct {
	from  bus.Cursor
	fetch func(seqs []uint64) ([]*bus.Entry, error) // a nil entry is gone

	begin   uint64  // number of the next frame to yield
	points  []point // known frames from begin on, ascending; the last one is fetched
	largest int     // largest body seen
}

// point is a frame whose sequence is known.
type point struct {
	number uint64
	seq    uint64
	entry  *bus.Entry // nil until it is fetched
}

// newLinkReader returns a reader that knows where to begin.
func newLinkReader(
	last *bus.Entry, from bus.Cursor, fetch func([]uint64) ([]*bus.Entry, error),
) (*linkReader, error) {
	number, err := linkNumber(last.Links)
	if err != nil {
		return nil, err
	}
	r := &linkReader{
		from: from, fetch: fetch, points: []point{{number: number, seq: last.Position.Minor, entry: last}},
	}

	if err := r.locate(); err != nil {
		return nil, err
	}

	return r, nil
}

// locate finds the frame to begin with: the newest that begins before the reader's place, or the first of the log.
// Whatever is older the reader has seen.
func (r *linkReader) locate() error {
	if r.from == (bus.Cursor{}) {
		return nil
	}
	if first := r.points[0]; r.covers(first.entry) {
		r.begin = first.number

		return nil
	}
	// Frames below low, older included, are known to be seen or gone; the oldest point is known not to be.
	var older *point
	for low := uint64(0); r.points[0].number > low; {
		known, err := expand(r.points[0], low)
		if err != nil {
			return err
		}
		at, err := r.newestSeen(known)
		if err != nil {
			return err
		}
		if at >= 0 {
			older = &known[at]
			low = older.number + 1
		}
		r.points = slices.Concat(known[at+1:], r.points)
	}

	return r.beginAfter(older)
}

// newestSeen returns the index of the newest of the points that begins before the reader's place or is gone, or -1.
func (r *linkReader) newestSeen(points []point) (int, error) {
	size := locateFirst
	for end := len(points); end > 0; size *= 2 {
		start := max(0, end-size)
		if err := r.load(points[start:end]); err != nil {
			return 0, err
		}
		for i := end - 1; i >= start; i-- {
			if e := points[i].entry; e == nil || r.covers(e) {
				return i, nil
			}
		}
		end = start
	}

	return -1, nil
}

// covers reports whether a frame begins before the reader's place.
func (r *linkReader) covers(e *bus.Entry) bool {
	return bus.Cursor{Attempt: e.Attempt, Index: e.First}.Before(r.from)
}

// beginAfter begins at older, the frame before the oldest point; nil: there is none.
func (r *linkReader) beginAfter(older *point) error {
	defer r.trim()
	next := r.points[0]
	if older == nil {
		return nil
	}
	if older.entry != nil {
		r.begin = older.number
		r.points = slices.Insert(r.points, 0, *older)

		return nil
	}
	// What is gone is not missed by a reader that stands exactly behind it.
	r.begin = next.number
	if start := (bus.Cursor{Attempt: next.entry.Attempt, Index: next.entry.First}); start != r.from || next.entry.Offset > 0 {
		return errGone
	}

	return nil
}

// trim forgets entries that were looked at and will be yielded much later.
func (r *linkReader) trim() {
	for i := r.window(); i < len(r.points)-1; i++ {
		r.points[i].entry = nil
	}
}

// next returns the frame at begin.
func (r *linkReader) next() (*bus.Entry, error) {
	for {
		if p := r.points[0]; p.number == r.begin && p.entry != nil {
			r.begin++
			r.points = r.points[1:]

			return p.entry, nil
		}
		if err := r.grow(); err != nil {
			return nil, err
		}
		ahead := r.points[:min(r.window(), len(r.points))]
		if err := r.load(ahead); err != nil {
			return nil, err
		}
		for i := range ahead {
			if ahead[i].entry == nil {
				return nil, fmt.Errorf("entry %d: %w", ahead[i].seq, errGone)
			}
		}
	}
}

// grow adds the frames in the gaps between the nearest points, as far as those at their ends are fetched.
func (r *linkReader) grow() error {
	due := r.begin
	for i := 0; i < min(r.window(), len(r.points)); {
		p := r.points[i]
		if p.number > due && p.entry != nil {
			linked, err := expand(p, due)
			if err != nil {
				return err
			}
			r.points = slices.Insert(r.points, i, linked...)
			p = r.points[i]
		}
		due = p.number + 1
		i++
	}

	return nil
}

// expand returns the frames from number low on that a fetched one links to.
func expand(p point, low uint64) ([]point, error) {
	links, ok := decodeLinks(p.entry.Links.Text)
	if !ok {
		return nil, fmt.Errorf("entry %d: %w", p.seq, corrupt(headerLinks))
	}
	numbers := appendLinked(make([]uint64, 0, len(links)), p.number)
	points := make([]point, 0, len(numbers))
	for i, seq := range links[1:] {
		if numbers[i] >= low {
			points = append(points, point{number: numbers[i], seq: seq})
		}
	}

	return points, nil
}

// load fetches the points that aren't. One that is gone stays nil.
func (r *linkReader) load(points []point) error {
	seqs := make([]uint64, 0, len(points))
	for _, p := range points {
		if p.entry == nil {
			seqs = append(seqs, p.seq)
		}
	}
	if len(seqs) == 0 {
		return nil
	}
	entries, err := r.fetch(seqs)
	if err != nil {
		return err
	}
	for i := range points {
		p := &points[i]
		if p.entry != nil {
			continue
		}
		p.entry, entries = entries[0], entries[1:]
		if p.entry == nil {
			continue
		}
		if n, err := linkNumber(p.entry.Links); err != nil || n != p.number {
			return fmt.Errorf("entry %d is frame %d of its log, not %d: %w", p.seq, n, p.number, bus.ErrCorrupt)
		}
		r.largest = max(r.largest, len(p.entry.Body))
	}

	return nil
}

// window is how many entries may be held.
func (r *linkReader) window() int {
	return min(readWindow, max(1, readBytes/max(1, r.largest)))
}
