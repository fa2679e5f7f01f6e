package natsbus

import (
	"context"
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

// linkSource is the log that a [linkReader] reads. Its entries may go at any moment; what is gone doesn't come back.
type linkSource interface {
	// fetch returns the entries at some sequences, which ascend; nil for one that is gone.
	fetch(ctx context.Context, seqs []uint64) ([]*bus.Entry, error)
	// next returns the first entry of the log at or after a sequence, or nil.
	next(ctx context.Context, from uint64) (*bus.Entry, error)
	// before returns the last entry of the log below a sequence, or nil.
	before(ctx context.Context, seq uint64) (*bus.Entry, error)
}

// linkReader walks over links from a log's last frame back to where a reader stands, and then forward in order. Where a
// frame is gone, and with it the links that only it has, the log is asked what there is instead.
type linkReader struct {
	log  linkSource
	from bus.Cursor
	last point

	begin   uint64  // number of the next frame to yield, as far as known
	behind  uint64  // sequence up to which nothing more is to be yielded
	points  []point // known frames from begin on, ascending; the last one is fetched
	largest int     // largest body seen
	sure    bool    // the last frame was there when the first one was found to be gone
}

// point is a frame whose sequence is known.
type point struct {
	number uint64
	seq    uint64
	entry  *bus.Entry // nil until it is fetched
	gone   bool
}

// pointOf returns the point of an entry.
func pointOf(e *bus.Entry) (point, error) {
	number, err := linkNumber(e.Links)

	return point{number: number, seq: e.Position.Minor, entry: e}, err
}

// newLinkReader returns a reader that knows where to begin.
func newLinkReader(ctx context.Context, last *bus.Entry, from bus.Cursor, log linkSource) (*linkReader, error) {
	end, err := pointOf(last)
	if err != nil {
		return nil, err
	}
	r := &linkReader{log: log, from: from, last: end, points: []point{end}}
	if err := r.locate(ctx); err != nil {
		return nil, err
	}

	return r, nil
}

// locate finds the frame to begin with: the newest that is there and begins before the reader's place, or the oldest that
// is there. Whatever is older the reader has seen.
func (r *linkReader) locate(ctx context.Context) error {
	if r.from == (bus.Cursor{}) {
		return nil
	}
	if first := r.points[0]; r.covers(first.entry) {
		r.beginWith(first)

		return nil
	}
	// Frames below low, older included, are known to be seen; the oldest point is known not to be.
	var older *point
	for low := uint64(0); r.points[0].number > low; {
		found, end, err := r.descend(ctx, low, older)
		if err != nil {
			return err
		}
		if end {
			break
		}
		if found != nil {
			older, low = found, found.number+1
		}
	}
	if older != nil {
		r.points = slices.Insert(r.points, 0, *older)
	}
	r.beginWith(r.points[0])
	r.trim()

	return nil
}

// descend looks at the frames from number low on that the oldest point links to, and adds those to the points that the
// reader has not seen. It returns the newest one that it has seen, if that is among them, and reports whether nothing is
// there between older and the oldest point.
func (r *linkReader) descend(ctx context.Context, low uint64, older *point) (found *point, end bool, err error) {
	known, err := expand(r.points[0], low)
	if err != nil {
		return nil, false, err
	}
	at, err := r.newestSeen(ctx, known)
	if err != nil {
		return nil, false, err
	}
	r.points = slices.Concat(known[at+1:], r.points)
	if at < 0 || known[at].gone && r.points[0].number > known[at].number+1 {
		return nil, false, nil
	}
	found = &known[at]
	if found.gone { // and with it the links to what lies below
		if found, err = r.before(ctx, found.seq); err != nil {
			return nil, false, err
		}
		if found == nil || older != nil && found.seq <= older.seq {
			return nil, true, nil
		}
		if found.number < low || found.number >= known[at].number {
			return nil, false, fmt.Errorf("entry %d: %w", found.seq, corrupt(headerLinks))
		}
	}
	if !r.covers(found.entry) {
		r.points = slices.Insert(r.points, 0, *found)

		return nil, false, nil
	}

	return found, false, nil
}

// beginWith makes a point the first to be yielded.
func (r *linkReader) beginWith(p point) { r.begin, r.behind = p.number, p.seq-1 }

// before returns the last frame below a sequence, or nil.
func (r *linkReader) before(ctx context.Context, seq uint64) (*point, error) {
	if err := r.checkLast(ctx); err != nil {
		return nil, err
	}
	e, err := r.log.before(ctx, seq)
	if err != nil || e == nil {
		return nil, err
	}
	p, err := pointOf(e)

	return &p, err
}

// newestSeen returns the index of the newest of the points that begins before the reader's place or is gone, or -1.
func (r *linkReader) newestSeen(ctx context.Context, points []point) (int, error) {
	size := locateFirst
	for end := len(points); end > 0; size *= 2 {
		start := max(0, end-size)
		if err := r.load(ctx, points[start:end]); err != nil {
			return 0, err
		}
		for i := end - 1; i >= start; i-- {
			if points[i].gone || r.covers(points[i].entry) {
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

// trim forgets entries that were looked at and will be yielded much later.
func (r *linkReader) trim() {
	for i := r.window(); i < len(r.points)-1; i++ {
		r.points[i].entry = nil
	}
}

// next returns the frame at begin, or the first that is there behind it.
func (r *linkReader) next(ctx context.Context) (*bus.Entry, error) {
	for {
		if p := r.points[0]; p.number == r.begin && p.entry != nil {
			r.begin, r.behind = p.number+1, p.seq
			r.points = r.points[1:]

			return p.entry, nil
		}
		if err := r.grow(); err != nil {
			return nil, err
		}
		if err := r.load(ctx, r.points[:min(r.window(), len(r.points))]); err != nil {
			return nil, err
		}
		if r.points[0].gone {
			if err := r.bridge(ctx); err != nil {
				return nil, err
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

// bridge goes on where the first point is gone: with the next frame that is there. Where that is not the one behind the
// gap, frames before the gap are known to nobody but the one that is gone; the last of them links to all.
//
// Each gap costs two or three requests, however long it is.
func (r *linkReader) bridge(ctx context.Context) error {
	if err := r.checkLast(ctx); err != nil {
		return err
	}
	e, err := r.log.next(ctx, r.behind+1)
	if err != nil {
		return err
	}
	if e == nil || e.Position.Minor > r.last.seq {
		return fmt.Errorf("entry %d: %w", r.last.seq, errGone)
	}
	for r.points[0].seq < e.Position.Minor {
		r.points = r.points[1:]
	}
	if err := r.insert(0, e); err != nil {
		return err
	}
	r.begin = r.points[0].number
	if len(r.points) == 1 || !r.points[1].gone || r.points[1].number == r.begin+1 {
		return nil
	}
	e, err = r.log.before(ctx, r.points[1].seq)
	if err != nil || e == nil || e.Position.Minor <= r.points[0].seq {
		return err
	}

	return r.insert(1, e)
}

// insert makes an entry the point at i, unless it is that already.
func (r *linkReader) insert(i int, e *bus.Entry) error {
	p, err := pointOf(e)
	if err != nil {
		return err
	}
	if next := &r.points[i]; next.seq == p.seq {
		next.entry, next.gone = e, false
	} else {
		r.points = slices.Insert(r.points, i, p)
	}
	if r.points[i].number != p.number || p.number < r.begin+uint64(i) ||
		i+1 < len(r.points) && p.number >= r.points[i+1].number {
		return fmt.Errorf("entry %d: %w", p.seq, corrupt(headerLinks))
	}

	return nil
}

// checkLast fails when the last frame is gone: what is there then may be of another life of the log. It asks once.
func (r *linkReader) checkLast(ctx context.Context) error {
	if r.sure {
		return nil
	}
	last := []point{{number: r.last.number, seq: r.last.seq}}
	if err := r.load(ctx, last); err != nil {
		return err
	}
	if r.sure = !last[0].gone; !r.sure {
		return fmt.Errorf("entry %d: %w", r.last.seq, errGone)
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

// load fetches the points that aren't. One in whose place another life of the log has something else is gone.
func (r *linkReader) load(ctx context.Context, points []point) error {
	seqs := make([]uint64, 0, len(points))
	for _, p := range points {
		if p.entry == nil && !p.gone {
			seqs = append(seqs, p.seq)
		}
	}
	if len(seqs) == 0 {
		return nil
	}
	entries, err := r.log.fetch(ctx, seqs)
	if err != nil {
		return err
	}
	for i := range points {
		p := &points[i]
		if p.entry != nil || p.gone {
			continue
		}
		p.entry, entries = entries[0], entries[1:]
		if p.entry == nil {
			p.gone = true

			continue
		}
		if n, err := linkNumber(p.entry.Links); err != nil || n != p.number {
			p.entry, p.gone = nil, true

			continue
		}
		r.largest = max(r.largest, len(p.entry.Body))
	}

	return nil
}

// window is how many entries may be held.
func (r *linkReader) window() int {
	return min(readWindow, max(1, readBytes/max(1, r.largest)))
}
