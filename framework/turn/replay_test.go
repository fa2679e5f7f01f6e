package turn_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/turn"
)

// mended fails until it is told that it was repaired.
func mended(repaired <-chan struct{}) turn.Handler {
	return func(ctx context.Context, a *turn.Attempt) error {
		select {
		case <-repaired:
			return echo(ctx, a)
		default:
			return turn.Terminate(errPoison)
		}
	}
}

// failed returns a user whose turn t1 has failed, in a component that is mended when repaired is closed.
func failed(t *testing.T, cfg membus.Config) (u *user, repaired chan struct{}) {
	t.Helper()

	broker := membus.NewBroker(cfg)
	repaired = make(chan struct{})
	start(t, broker, turn.Config{}, mended(repaired))

	u = newUser(t, broker)
	u.post("t1", "hello")
	u.wantFailed("t1", "poison")

	return u, repaired
}

func (u *user) replay(d *bus.DeadLetter) turn.Record {
	u.t.Helper()

	r, err := turn.Replay(u.t.Context(), u.bus, u.store, d)
	if err != nil {
		u.t.Fatalf("replay: %v", err)
	}

	return r
}

func TestAReplayedTurnIsCompletedOnceTheHandlerIsFixed(t *testing.T) {
	t.Parallel()

	for name, wait := range map[string]time.Duration{"its input is stored": 0, "its input has expired": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				u, repaired := failed(t, membus.Config{MaxAge: time.Hour})

				// Replayed too early, it is set aside again, as a turn of its own.
				again := u.replay(u.oneDead("t1"))
				u.wantFailed(again.ID, "poison")

				<-time.After(wait)
				close(repaired)

				r := u.replay(u.oneDead(again.ID))
				u.wantAnswer(r.ID, "hello")

				if dead := u.dead(); len(dead) > 0 {
					t.Errorf("%d dead letters are left", len(dead))
				}

				if rewritten := r.Stream == ""; rewritten != (wait > 0) {
					t.Errorf("the input was written again: %v", rewritten)
				}
			})
		})
	}
}

func TestAReplayAppearsOnTheTimeline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, repaired := failed(t, membus.Config{})
		close(repaired)
		synctest.Wait() // a stream's announcement may be stored after its first frame, here with the failure

		f, err := u.store.Follow(t.Context(), stream.FollowConfig{Session: sessionID, New: true})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()

		r := u.replay(u.oneDead("t1"))

		e, err := f.Next(t.Context())
		if err != nil || e.Info.Turn != r.ID || e.Info.Root != r.ID {
			t.Errorf("the timeline goes on with %+v, %v; want the answer of %s", e.Info, err, r.ID)
		}
	})
}

// A replay that failed half-way is repeated: it is one turn.
func TestAReplayThatIsRepeatedIsOneTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		repaired := make(chan struct{})
		runs := 0
		start(t, broker, turn.Config{}, func(ctx context.Context, a *turn.Attempt) error {
			runs++

			return mended(repaired)(ctx, a)
		})

		u := newUser(t, broker)
		u.post("t1", "hello")
		u.wantFailed("t1", "poison")
		close(repaired)

		d := u.oneDead("t1")
		one := u.replay(d)
		u.wantAnswer(one.ID, "hello")

		if _, err := turn.Replay(t.Context(), u.bus, u.store, d); !errors.Is(err, bus.ErrNotFound) {
			t.Errorf("a letter that is gone was replayed: %v", err)
		}

		if err := u.bus.Bury(t.Context(), d); err != nil { // as if it had not been dropped
			t.Fatal(err)
		}

		if two := u.replay(u.oneDead("t1")); two != one {
			t.Errorf("replayed as %+v and as %+v", one, two)
		}

		u.post("t2", "after it")
		u.wantAnswer("t2", "after it")

		if runs != 3 {
			t.Errorf("the handler ran %d times, want 3", runs)
		}
	})
}

// A cancel of the past must not meet the replay, and a cancel of the replay must not touch the input it shares.
func TestCancelsAndReplays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		began := make(chan error, 2)
		start(t, broker, turn.Config{}, func(ctx context.Context, a *turn.Attempt) error {
			if a.Record.Stream == "" {
				return turn.Terminate(errPoison)
			}

			return hanging(began)(ctx, a)
		})

		u := newUser(t, broker)
		w := u.input("t1")

		if err := errors.Join(w.Send(t.Context(), []byte("hello")), w.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}

		u.letter("t1")
		u.wantFailed("t1", "poison")
		u.cancel(session.Cancel{Root: "t1"})
		u.cancel(session.Cancel{})

		r := u.replay(u.oneDead("t1"))
		if err := <-began; err != nil {
			t.Errorf("the replay was cancelled: %v", err)
		}

		u.cancel(session.Cancel{Root: r.ID, Reason: "enough"})
		u.wantCancelled(outputID(r.ID, component), "hello", "enough")

		if err := w.Close(t.Context()); err != nil {
			t.Errorf("the input's writer: %v", err)
		}

		if text, end := u.read("t1"); text != "hello" || end != nil {
			t.Errorf("the input became %q, %v", text, end)
		}
	})
}

// What is replayed is what the bus keeps, whatever the caller makes of it.
func TestAForgedLetterIsNotReplayed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u, repaired := failed(t, membus.Config{MaxAge: time.Hour})
		close(repaired)
		<-time.After(2 * time.Hour) // so that the input is that of the letter

		d := u.oneDead("t1")
		elsewhere := *d
		elsewhere.Session = "other"
		elsewhere.Body = []byte(strings.ReplaceAll(string(d.Body), sessionID, "other"))

		if r, err := turn.Replay(t.Context(), u.bus, u.store, &elsewhere); !errors.Is(err, bus.ErrNotFound) {
			t.Errorf("replayed as %+v: %v", r, err)
		}

		d.Input, d.Truncated = []byte("forged"), true
		u.wantAnswer(u.replay(d).ID, "hello")
	})
}

func TestAnInputThatIsGoneCannotBeReplayed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{MaxAge: time.Hour})
		start(t, broker, turn.Config{}, mended(nil))

		u := newUser(t, broker)
		w := u.input("t1") // never completed
		u.letter("t1")
		u.wantFailed("t1", "poison")
		w.Abandon()
		<-time.After(2 * time.Hour)

		d := u.oneDead("t1")
		if _, err := turn.Replay(t.Context(), u.bus, u.store, d); !errors.Is(err, turn.ErrInputGone) {
			t.Errorf("replay: %v, want ErrInputGone", err)
		}

		u.oneDead("t1") // it is still there
	})
}
