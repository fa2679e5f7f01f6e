package bustest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// moment is one step in the history of a log: entries are appended, some of them maybe as a later attempt that takes back
// a few chunks; then time passes, and the log may be wiped.
type moment struct {
	Append int
	Rewind int // by how many chunks; negative: the attempt goes on
	Wait   int // sixteenths of the age
	Wipe   bool
}

func drawHistory() *rapid.Generator[[]moment] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) moment {
		return moment{
			Append: rapid.IntRange(0, 12).Draw(t, "append"),
			Rewind: rapid.IntRange(-3, 5).Draw(t, "rewind"),
			Wait:   rapid.SampledFrom([]int{0, 0, 1, 2, 5, 9, 15, 19}).Draw(t, "wait"),
			Wipe:   rapid.IntRange(0, 9).Draw(t, "wipe") == 0,
		}
	}), 1, 12)
}

// agedHistories compares a broker with a model of one log. In bubbles it looks for the shortest history that shows a
// difference; on a broker that takes real time it tries some.
func agedHistories(t *testing.T, s *suite) {
	const histories = 12

	if s.features.Virtual {
		rapid.Check(t, func(rt *rapid.T) {
			history := drawHistory().Draw(rt, "history")

			var err error

			aged(func(t *testing.T, s *suite) {
				err = newAging(s, t, s.open(t), s.open(t)).run(t.Context(), history)
			})(t, s)

			if err != nil {
				rt.Fatal(err)
			}
		})

		return
	}

	aged(func(t *testing.T, s *suite) {
		b, reading := s.open(t), s.open(t)

		var all sync.WaitGroup

		for range histories {
			seed := rand.Int()
			history := drawHistory().Example(seed)

			all.Go(func() {
				if err := newAging(s, t, b, reading).run(t.Context(), history); err != nil {
					t.Errorf("history of seed %d, %+v: %v", seed, history, err)
				}
			})
		}

		all.Wait()
	})(t, s)
}

// aging is a log and what is known of it.
type aging struct {
	s       *suite
	t       *testing.T
	w       *writer
	reading bus.Bus
	log     []agingEntry // of the present life, the oldest first
	wiped   bool         // since the last entry
	lives   int

	mu       sync.Mutex
	appended []*bus.Entry // of all lives
	live     []*bus.Entry // what was delivered
}

// agingEntry is an entry that was stored between two moments.
type agingEntry struct {
	*bus.Entry

	from, to time.Time
}

func newAging(s *suite, t *testing.T, b, reading bus.Bus) *aging {
	t.Helper()

	return &aging{s: s, t: t, w: newWriter(b, newStream(), 1), reading: reading}
}

func (a *aging) run(ctx context.Context, history []moment) error {
	stop, err := a.reading.Follow(ctx, a.w.id, func(e *bus.Entry) {
		a.mu.Lock()
		defer a.mu.Unlock()

		a.live = append(a.live, e)
	})
	if err != nil {
		return err
	}
	defer stop()

	for i, m := range history {
		if err := a.step(ctx, m); err != nil {
			return fmt.Errorf("moment %d: %w", i, err)
		}
	}

	return a.checkLive()
}

// step lives one moment and looks at the log after each of its parts.
func (a *aging) step(ctx context.Context, m moment) error {
	for i := range m.Append {
		if i == 0 && m.Rewind >= 0 && a.w.last != nil {
			a.w.attempt++
			a.w.next -= min(a.w.next, uint64(m.Rewind))
			a.w.begun = false
		}

		if err := a.append(ctx); err != nil {
			return err
		}
	}

	if err := a.check(ctx); err != nil {
		return err
	}

	a.s.pass(ctx, m.Wait, 16)

	if m.Wipe {
		a.s.Wipe(a.t, a.w.id)
		a.wiped = len(a.log) > 0
	}

	return a.check(ctx)
}

// append appends an entry behind the last one, or begins the log anew when that has gone.
func (a *aging) append(ctx context.Context) error {
	from := time.Now()
	err := a.w.put(ctx, a.w.frame("a", "bc"))

	switch {
	case err == nil && len(a.log) > 0 && a.gone(a.log[len(a.log)-1], from):
		return errors.New("an entry was appended behind one that must be gone")
	case err == nil:
		a.log = append(a.log, agingEntry{a.w.last, from, time.Now()})
		a.mu.Lock()
		a.appended = append(a.appended, a.w.last)
		a.mu.Unlock()

		return nil
	case !errors.Is(err, bus.ErrConflict):
		return err
	case len(a.log) == 0 || !a.mayBeGone(a.log[len(a.log)-1]):
		return fmt.Errorf("append behind the last entry, which is young: %w", err)
	}

	a.lives++
	a.log, a.wiped = nil, false
	a.w = newWriter(a.w.bus, a.w.id, 1)

	return a.append(ctx)
}

// gone reports whether an entry could not be seen any more at a time.
func (a *aging) gone(e agingEntry, at time.Time) bool {
	return a.wiped || at.Sub(e.to) > a.s.tooOld()
}

// mayBeGone reports whether an entry need not be there now.
func (a *aging) mayBeGone(e agingEntry) bool {
	return a.wiped || time.Since(e.from) >= a.s.features.Age
}

// check compares what the log holds with what is known.
func (a *aging) check(ctx context.Context) error {
	asked := time.Now()

	last, err := lastOf(ctx, a.reading, a.w.id)
	if err != nil {
		return err
	}

	if last == nil {
		if n := len(a.log); n > 0 && !a.mayBeGone(a.log[n-1]) {
			return errors.New("the log is empty before its time")
		}

		return nil
	}

	if len(a.log) == 0 || a.gone(a.log[len(a.log)-1], asked) {
		return fmt.Errorf("the last entry is %+v, which must be gone", last.Frame)
	}

	if want := a.log[len(a.log)-1]; want.Position != last.Position || want.Writer != last.Writer {
		return fmt.Errorf("the last entry is %+v, not %+v", last.Frame, want.Frame)
	}

	first, err := a.checkRead(ctx, last, bus.Cursor{}, 0)
	if err != nil || first < 0 {
		return err
	}

	k := rand.IntN(len(a.log))
	e := a.log[k]
	_, err = a.checkRead(ctx, last, bus.Cursor{Attempt: e.Attempt, Index: e.First}, k)

	return err
}

// checkRead reads from where an entry begins, and returns which entry came first; -1 when what was asked for has gone
// meanwhile.
func (a *aging) checkRead(ctx context.Context, last *bus.Entry, from bus.Cursor, of int) (int, error) {
	asked := time.Now()
	got, err := readFrom(ctx, a.reading, last, from)

	switch {
	case errors.Is(err, bus.ErrNotFound) && from != (bus.Cursor{}) && a.mayBeGone(a.log[of]):
		return -1, nil
	case errors.Is(err, bus.ErrNotFound) && a.mayBeGone(a.log[len(a.log)-1]):
		return -1, nil
	case err != nil:
		return -1, fmt.Errorf("read from %v: %w", from, err)
	case len(got) == 0 || len(got) > len(a.log):
		return -1, fmt.Errorf("read %d entries from %v, of %d", len(got), from, len(a.log))
	}

	first := len(a.log)

	for i, e := range slices.Backward(got) {
		first--

		for e.Position != a.log[first].Position && first > i && a.mayBeGone(a.log[first]) { // went while others were read
			first--
		}

		want := a.log[first].Entry
		if diff := cmp.Diff(want, e, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(bus.Links{}, "Last")); diff != "" {
			return -1, fmt.Errorf("read from %v (-want +got):\n%.2000s", from, diff)
		}
	}

	if a.gone(a.log[first], asked) {
		return -1, fmt.Errorf("read from %v begins with %+v, which must be gone", from, got[0].Frame)
	}

	if first > of && !a.mayBeGone(a.log[first-1]) {
		return -1, fmt.Errorf("read from %v begins %d entries too late", from, first-of)
	}

	return first, nil
}

// checkLive checks that what was delivered is what was appended, in every life, in order.
func (a *aging) checkLive() error {
	a.mu.Lock()
	defer a.mu.Unlock()

	i := 0

	for _, e := range a.live {
		for e != nil && (i == len(a.appended) || a.appended[i].Position != e.Position || a.appended[i].Writer != e.Writer) {
			if i == len(a.appended) {
				return fmt.Errorf("%+v was delivered out of order, or is not of this log", e.Frame)
			}

			i++
		}
	}

	return nil
}
