package natsbus

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/bits"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// TestNextLinks compares the links of a growing log with their definition.
func TestNextLinks(t *testing.T) {
	t.Parallel()
	links, written := firstLinks(), bus.Links{Text: noLinks}
	for f := range uint64(5000) {
		want := []uint64{f}
		for _, number := range definedLinks(f) {
			want = append(want, sequenceOf(number))
		}
		if !slices.Equal(want, links) {
			t.Fatalf("links of frame %d:\n%s", f, gocmp.Diff(want, links))
		}
		if got := appendLinked(nil, f); !slices.Equal(got, definedLinks(f)) || len(got) != linkCount(f) {
			t.Fatalf("frame %d links to %v, want %v; count %d", f, got, definedLinks(f), linkCount(f))
		}
		if text := encodeLinks(links); written.Text != text {
			t.Fatalf("links of frame %d are written as %s, want %s", f, written.Text, text)
		}
		if number, err := linkNumber(written); number != f || err != nil {
			t.Fatalf("links of frame %d say that they are of %d, %v", f, number, err)
		}
		if f%7 == 0 {
			written.Last = 0 // a writer that has just read them
		}
		links = nextLinks(links, sequenceOf(f))
		var err error
		if written, err = linksBehind(written, sequenceOf(f)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLinksBehindNothing refuses what no frame can have, instead of writing more of it.
func TestLinksBehindNothing(t *testing.T) {
	t.Parallel()
	for _, links := range []bus.Links{
		{}, {Text: "x"}, {Text: "1"}, {Text: "1:"}, {Text: "1:5,1"}, {Text: "1:2s", Last: 100}, {Text: "01:5"}, {Text: "0:1"},
	} {
		if next, err := linksBehind(links, 100); !errors.Is(err, bus.ErrCorrupt) {
			t.Errorf("behind %+v: %+v, %v", links, next, err)
		}
	}
}

// sequenceOf spreads frames over a log that others write into.
func sequenceOf(f uint64) uint64 { return 7 + f*f*3 + f }

// definedLinks is the definition of links.go in the plainest form.
func definedLinks(f uint64) []uint64 {
	if f == 0 {
		return nil
	}
	var all []uint64
	upTo := f
	for step := uint64(1); upTo > 0; step *= radix {
		begin := step * radix * ((f - 1) / (step * radix))
		var level []uint64
		for n := begin; n < upTo; n += step {
			level = append(level, n)
		}
		all = append(level, all...)
		upTo = begin
	}

	return all
}

func TestLinksReachEverything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Uint64Range(1, 1<<40).Draw(t, "frame")
		target := rapid.Uint64Range(0, f-1).Draw(t, "target")
		if n, most := linkCount(f), radix+(radix-1)*(bits.Len64(f)/radixBits); n > most {
			t.Errorf("frame %d has %d links, more than %d", f, n, most)
		}
		rounds := 0
		for at := f; at != target; rounds++ {
			linked := appendLinked(nil, at)
			i, _ := slices.BinarySearch(linked, target)
			if i == len(linked) {
				t.Fatalf("frame %d is not reachable from %d", target, at)
			}
			at = linked[i] // the oldest frame that is not before the target
		}
		if most := bits.Len64(f)/radixBits + 2; rounds > most {
			t.Errorf("from frame %d to %d took %d rounds, more than %d", f, target, rounds, most)
		}
	})
}

func TestLinksCodec(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		links := drawLinks(t)
		text := encodeLinks(links)
		got, ok := decodeLinks(text)
		if !ok || !slices.Equal(got, links) {
			t.Errorf("%v became %q became %v", links, text, got)
		}
		if len(text) > 10+len(links)*10 {
			t.Errorf("%d links take %d bytes", len(links), len(text))
		}
	})
}

// drawLinks draws the links of any frame.
func drawLinks(t *rapid.T) []uint64 {
	f := rapid.Uint64Range(0, 1<<30).Draw(t, "frame")
	links := []uint64{f}
	seq := uint64(0)
	for range linkCount(f) {
		seq += rapid.Uint64Range(1, 1<<40).Draw(t, "step")
		links = append(links, seq)
	}

	return links
}

func FuzzDecodeLinks(f *testing.F) {
	for _, s := range []string{"", "0", "1:1", "g:1,2,3", "1:", "1:0", "-1:1", "1:1,", "11:zz,1", "3w5e11264sgsf:1,1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		links, ok := decodeLinks(s)
		if !ok {
			return
		}
		if again := encodeLinks(links); again != s {
			t.Errorf("%q reads as %v, which is written %q", s, links, again)
		}
		nextLinks(links, links[len(links)-1]+1)
	})
}

// linkLog is a log in memory, of n frames whose chunks are spread over attempts.
type linkLog struct {
	entries []*bus.Entry // by number
	rounds  int
	fetched int
	gone    map[uint64]bool // numbers of frames
	step    func()          // before each request; nil does nothing
}

func newLinkLog(n, attemptEvery int) *linkLog {
	l := &linkLog{gone: map[uint64]bool{}}
	links, index := firstLinks(), uint64(0)
	for i := range n {
		attempt := uint32(1)
		if attemptEvery > 0 {
			attempt += uint32(i / attemptEvery)
			if i%attemptEvery == 0 {
				index /= 2 // some of what was written is superseded
			}
		}
		e := &bus.Entry{Links: bus.Links{Text: encodeLinks(links)}, Position: bus.Position{Minor: sequenceOf(uint64(i))}}
		e.Attempt, e.First, e.Lengths = attempt, index, []int{1, 1}
		index += 2
		l.entries = append(l.entries, e)
		links = nextLinks(links, e.Position.Minor)
	}

	return l
}

func (l *linkLog) fetch(_ context.Context, seqs []uint64) ([]*bus.Entry, error) {
	l.fetched += len(seqs)
	l.request()
	got := make([]*bus.Entry, len(seqs))
	for i, seq := range seqs {
		if at := l.search(seq); !l.gone[uint64(at)] {
			got[i] = l.entries[at]
		}
	}

	return got, nil
}

func (l *linkLog) next(_ context.Context, from uint64) (*bus.Entry, error) {
	l.request()
	for at := l.search(from); at < len(l.entries); at++ {
		if !l.gone[uint64(at)] {
			return l.entries[at], nil
		}
	}

	return nil, nil
}

func (l *linkLog) before(_ context.Context, seq uint64) (*bus.Entry, error) {
	l.request()
	for at := l.search(seq) - 1; at >= 0; at-- {
		if !l.gone[uint64(at)] {
			return l.entries[at], nil
		}
	}

	return nil, nil
}

func (l *linkLog) request() {
	l.rounds++
	if l.step != nil {
		l.step()
	}
}

// search returns the number of the first frame at or after a sequence.
func (l *linkLog) search(seq uint64) int {
	at, _ := slices.BinarySearchFunc(l.entries, seq, func(e *bus.Entry, seq uint64) int {
		return cmp.Compare(e.Position.Minor, seq)
	})

	return at
}

// drop removes frames as their age does: those below a number.
func (l *linkLog) drop(below int) {
	for n := range below {
		l.gone[uint64(n)] = true
	}
}

func numberOf(e *bus.Entry) uint64 {
	n, err := linkNumber(e.Links)
	if err != nil {
		panic(err)
	}

	return n
}

// first returns the number of the frame that a read from a place has to begin with.
func (l *linkLog) first(from bus.Cursor) uint64 {
	for i := len(l.entries) - 1; i > 0; i-- {
		e := l.entries[i]
		if (bus.Cursor{Attempt: e.Attempt, Index: e.First}).Before(from) {
			return uint64(i)
		}
	}

	return 0
}

func TestLinkReader(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3000).Draw(t, "frames")
		l := newLinkLog(n, rapid.SampledFrom([]int{0, 7, 100, 1000}).Draw(t, "frames per attempt"))
		place := l.entries[rapid.IntRange(0, n-1).Draw(t, "place")]
		from := bus.Cursor{Attempt: place.Attempt, Index: place.First + rapid.Uint64Range(0, 2).Draw(t, "offset")}
		if rapid.Bool().Draw(t, "from the beginning") {
			from = bus.Cursor{}
		}
		r, err := newLinkReader(t.Context(), l.entries[n-1], from, l)
		if err != nil {
			t.Fatal(err)
		}
		want := l.first(from)
		held := 0
		for len(r.points) > 0 {
			e, err := r.next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if n := numberOf(e); n != want {
				t.Fatalf("read from %v: frame %d, want %d", from, n, want)
			}
			want++
			held = max(held, heldBy(r))
		}
		if want != uint64(n) {
			t.Fatalf("read ended before frame %d of %d", want, n)
		}
		if held > 3*readWindow {
			t.Errorf("the reader held %d entries", held)
		}
	})
}

func heldBy(r *linkReader) int {
	n := 0
	for _, p := range r.points {
		if p.entry != nil {
			n++
		}
	}

	return n
}

// TestLinkReaderIsQuick counts the rounds, each of which costs a round trip.
func TestLinkReaderIsQuick(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		frames, from, rounds, fetched int
	}{
		{100, 0, 4, 110},      // a whole short log
		{100000, 99998, 2, 8}, // a gap of one or two frames
		{100000, 99900, 8, 220},
		{100000, 50000, 900, 51000},
	} {
		l := newLinkLog(c.frames, 0)
		from := bus.Cursor{}
		if c.from > 0 {
			from = bus.Cursor{Attempt: 1, Index: uint64(2 * c.from)}
		}
		r, err := newLinkReader(t.Context(), l.entries[c.frames-1], from, l)
		if err != nil {
			t.Fatal(err)
		}
		for len(r.points) > 0 {
			if _, err := r.next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if l.rounds > c.rounds || l.fetched > c.fetched {
			t.Errorf("%d frames from %d: %d rounds, %d fetched; want at most %d and %d",
				c.frames, c.from, l.rounds, l.fetched, c.rounds, c.fetched)
		}
	}
}

// TestLinkReaderOfWhatIsLeft reads a log whose head has expired and that has holes, while more of it goes. It must yield all
// that a reader at the place has not seen and that is there throughout, in order, and nothing that was gone before.
func TestLinkReaderOfWhatIsLeft(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3000).Draw(t, "frames")
		l := newLinkLog(n, rapid.SampledFrom([]int{0, 7, 100, 1000}).Draw(t, "frames per attempt"))
		l.drop(rapid.SampledFrom([]int{0, n / 3, n - 1, max(0, n-20)}).Draw(t, "head"))
		for range rapid.IntRange(0, 20).Draw(t, "holes") {
			l.hole(t)
		}
		before := maps.Clone(l.gone)
		if rapid.Bool().Draw(t, "more goes") {
			l.step = func() { l.hole(t) }
		}
		from := bus.Cursor{}
		if rapid.Bool().Draw(t, "from a place") {
			place := l.entries[rapid.IntRange(0, n-1).Draw(t, "place")]
			from = bus.Cursor{Attempt: place.Attempt, Index: place.First + rapid.Uint64Range(0, 2).Draw(t, "offset")}
		}
		seen := map[uint64]bool{}
		last := -1
		r, err := newLinkReader(t.Context(), l.entries[n-1], from, l)
		for err == nil && len(r.points) > 0 {
			var e *bus.Entry
			if e, err = r.next(t.Context()); err != nil {
				break
			}
			number := numberOf(e)
			if int(number) <= last || before[number] {
				t.Fatalf("read from %v: frame %d after %d, gone %v", from, number, last, before[number])
			}
			last, seen[number] = int(number), true
			if held := heldBy(r); held > 4*readWindow {
				t.Fatalf("the reader held %d entries", held)
			}
		}
		if err != nil {
			t.Fatalf("read from %v: %v", from, err)
		}
		for number := l.first(from); number < uint64(n); number++ {
			if !l.gone[number] && !seen[number] {
				t.Fatalf("read from %v: frame %d was left out", from, number)
			}
		}
	})
}

// hole removes a few frames in a row, but never the last one of the log.
func (l *linkLog) hole(t *rapid.T) {
	at := rapid.IntRange(0, len(l.entries)-1).Draw(t, "hole")
	if rapid.Bool().Draw(t, "that many link to") {
		at -= at % radix
	}
	for n := range rapid.SampledFrom([]int{1, 1, 2, 40}).Draw(t, "wide") {
		if at+n < len(l.entries)-1 {
			l.gone[uint64(at+n)] = true
		}
	}
}

// TestLinkReaderOfGoneLog fails when the last frame itself is gone, so that another life of the log is not taken for it.
func TestLinkReaderOfGoneLog(t *testing.T) {
	t.Parallel()
	l := newLinkLog(1000, 0)
	l.drop(1000)
	for _, from := range []bus.Cursor{{}, {Attempt: 1, Index: 10}, {Attempt: 1, Index: 1990}} {
		r, err := newLinkReader(t.Context(), l.entries[999], from, l)
		if err == nil {
			_, err = r.next(t.Context())
		}
		if !errors.Is(err, bus.ErrNotFound) {
			t.Errorf("read from %v: %v, want %v", from, err, bus.ErrNotFound)
		}
	}
}

// TestLinkReaderOfExpiredLogIsQuick counts the requests of reads of a log that has lost its head, or a frame that thousands
// are linked by.
func TestLinkReaderOfExpiredLogIsQuick(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lose   func(*linkLog)
		rounds int
	}{
		"head": {func(l *linkLog) { l.drop(9000) }, 40},
		"hub":  {func(l *linkLog) { l.gone[4096] = true }, 200},
	} {
		l := newLinkLog(10000, 0)
		c.lose(l)
		r, err := newLinkReader(t.Context(), l.entries[9999], bus.Cursor{}, l)
		for err == nil && len(r.points) > 0 {
			_, err = r.next(t.Context())
		}
		if err != nil || l.rounds > c.rounds {
			t.Errorf("%s: %d requests, want at most %d: %v", name, l.rounds, c.rounds, err)
		}
	}
}
