package bustest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/woodwork-go/woodwork/framework/bus"
)

func stressCases() []promise {
	return []promise{
		{name: "stress/no letter is lost or out of order when workers crash", run: stress, faults: true},
	}
}

const (
	stressSessions = 50
	stressWorkers  = 6
	stressPosters  = 4
)

// ledger is what the workers of a stress run saw, by session. Whose work counts is decided by each session's log: two
// workers may be in a session at once after a claim was lost, but only one of them gets its work accepted.
type ledger struct {
	t    *testing.T
	want int // letters of each session
	left int // letters that are not done
	all  chan struct{}

	mu       sync.Mutex
	seen     map[string][]*bus.Letter
	ids      map[string]map[string]bool // of letters whose work was accepted
	inside   map[string]int
	overlaps int
}

func newLedger(t *testing.T, sessions []string, want int) *ledger {
	t.Helper()

	l := &ledger{
		t: t, want: want, left: len(sessions) * want, all: make(chan struct{}), seen: make(map[string][]*bus.Letter),
		ids: make(map[string]map[string]bool), inside: make(map[string]int),
	}
	for _, s := range sessions {
		l.ids[s] = make(map[string]bool)
	}

	return l
}

// enter notes that a worker holds a letter of a session.
func (l *ledger) enter(letter *bus.Letter) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.inside[letter.Session]++
	if l.inside[letter.Session] > 1 {
		l.overlaps++
	}

	l.seen[letter.Session] = append(l.seen[letter.Session], letter)
}

// leave notes that the worker has nothing more to do with a letter, and whether its work was accepted.
func (l *ledger) leave(letter *bus.Letter, accepted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.inside[letter.Session]--

	ids := l.ids[letter.Session]
	if !accepted || ids[letter.ID] {
		return
	}

	ids[letter.ID] = true
	l.left--

	if l.left == 0 {
		close(l.all)
	}
}

// serve does letters, and now and then just returns or releases the mailbox instead.
func (l *ledger) serve(w *crashing, erratic bool) func(context.Context, bus.Claim) {
	return func(ctx context.Context, c bus.Claim) {
		for {
			letter, err := c.Next(ctx)
			if letter == nil || err != nil {
				l.check(ctx, w, err)

				return
			}

			l.enter(letter)

			chance := rand.IntN(200)
			if !erratic || chance > 8 {
				err = accept(ctx, w.bus, letter)
			}

			l.leave(letter, err == nil && (!erratic || chance > 8))

			switch {
			case errors.Is(err, bus.ErrConflict): // another worker has the mailbox
				return
			case err != nil:
			case erratic && chance == 0:
				return
			case erratic && chance <= 8:
				l.check(ctx, w, c.Release(ctx, 0))

				return
			default:
				err = c.Done(ctx, letter)
			}

			if err != nil {
				l.check(ctx, w, err)

				return
			}
		}
	}
}

// check fails the test on errors that a worker should not see. One that doesn't know an outcome just returns, and so
// does one that was killed or lost its claim.
func (l *ledger) check(ctx context.Context, w *crashing, err error) {
	switch {
	case err == nil, ctx.Err() != nil, errors.Is(err, bus.ErrUnknown), errors.Is(err, bus.ErrLost), w.dead.Load() && gone(err):
	default:
		l.t.Errorf("serve: %v", err)
	}
}

// await waits until all letters are done and checks that they were in order, and that overlaps were rare: a lost claim
// may lead to one, but workers that are in a session at once all the time are no workers one at a time.
func (l *ledger) await(b bus.Bus) {
	l.t.Helper()
	receive(l.t, "all letters", l.all)

	l.mu.Lock()
	defer l.mu.Unlock()

	l.t.Logf("%d times two workers in a session", l.overlaps)

	if l.overlaps > len(l.ids)*l.want/10 {
		l.t.Errorf("%d times a session was worked on twice at once", l.overlaps)
	}

	for id := range l.ids {
		inOrder(l.t, id, l.seen[id], l.want)

		for i, e := range wantLog(l.t, b, workLog(id), l.want) {
			if e.First != uint64(i) {
				l.t.Errorf("session %s: work %d was accepted as number %d", id, e.First, i)
			}
		}
	}
}

// workLog names the log of the work that was accepted in a session.
func workLog(session string) bus.StreamID { return bus.StreamID{Session: session, Stream: "work"} }

// accept stores the work of a letter unless it is stored. It fails with [bus.ErrConflict] when another worker is at it.
func accept(ctx context.Context, b bus.Bus, l *bus.Letter) error {
	var n uint64
	if _, err := fmt.Sscanf(l.ID, "turn-%d", &n); err != nil {
		return fmt.Errorf("letter %s: %w", l.ID, err)
	}

	writer := newID("w")

	for {
		last, err := lastOf(ctx, b, workLog(l.Session))
		if err != nil || last != nil && last.First >= n {
			return err
		}

		f := &bus.Frame{
			ID: workLog(l.Session), Attempt: 1, Writer: writer, First: n, Begin: last == nil,
			Lengths: []int{len(l.ID)}, Type: bus.Text, Body: []byte(l.ID),
		}

		_, err = b.Append(ctx, f, last)
		if !errors.Is(err, bus.ErrUnknown) && !errors.Is(err, bus.ErrBusy) {
			return err
		}

		if !pause(ctx) {
			return fmt.Errorf("gave up: %w", err)
		}
	}
}

func stress(t *testing.T, s *suite) {
	component := newID("c")
	sessions := make([]string, stressSessions)

	for i := range sessions {
		sessions[i] = newID("s")
	}

	l := newLedger(t, sessions, s.features.Letters/stressSessions)

	var killing sync.WaitGroup
	defer killing.Wait()

	for i := range stressWorkers {
		w := &crashing{bus: s.open(t)}
		work(t, w.bus, component, bus.WorkConfig{Concurrency: 8, Lease: s.features.Lease}, l.serve(w, true))

		if i < 2 { // These are killed while they work.
			killing.Go(func() { s.crash(within(t), t, w, l) })
		}
	}

	var posting sync.WaitGroup

	for p := range stressPosters {
		b := s.open(t)
		posting.Go(func() {
			for n := range l.want {
				for i := p; i < len(sessions); i += stressPosters {
					if err := post(t.Context(), b, letter(component, sessions[i], n)); err != nil {
						t.Errorf("post: %v", err)
					}
				}
			}
		})
	}

	posting.Wait()
	l.await(s.open(t))
}

// crash kills a worker when it has worked for a while.
func (s *suite) crash(ctx context.Context, t *testing.T, w *crashing, l *ledger) {
	t.Helper()

	for pause(ctx) {
		l.mu.Lock()
		begun := len(l.seen) > stressSessions/2
		l.mu.Unlock()

		if begun {
			w.dead.Store(true)
			s.kill(t, w.bus)

			return
		}
	}
}
