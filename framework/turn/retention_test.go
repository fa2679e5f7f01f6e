package turn_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/turn"
)

// The notes of a session's failed attempts lose their oldest ones while a turn is tried.
func TestAPoisonTurnIsSetAsideAlthoughOlderNotesExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{MaxAge: time.Hour})

		var (
			runs atomic.Int32
			once atomic.Bool
		)

		start(t, broker, turn.Config{}, func(ctx context.Context, a *turn.Attempt) error {
			switch {
			case a.Record.ID == "t0" && once.CompareAndSwap(false, true):
				return errors.New("once")
			case a.Record.ID == "t1":
				runs.Add(1)

				return errPoison
			}

			return echo(ctx, a)
		})

		u := newUser(t, broker)
		u.post("t0", "x")
		u.wantAnswer("t0", "x")
		<-time.After(time.Hour - 5*time.Second)
		u.post("t1", "x")
		<-time.After(10 * time.Minute)

		if n := runs.Load(); n != 5 || len(u.dead()) != 1 {
			t.Errorf("the poison ran %d times, want 5; %d dead letters, want 1", n, len(u.dead()))
		}
	})
}

// Each attempt is longer after the one before than notes are kept, but for the last one.
func TestAttemptsAreCountedThoughTheirNotesExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{MaxAge: time.Hour})

		var runs atomic.Int32

		start(t, broker, turn.Config{}, func(ctx context.Context, a *turn.Attempt) error {
			runs.Add(1)
			_, _ = a.Input.Next(ctx)

			return turn.RetryAfter(25*time.Minute, errPoison)
		})

		u := newUser(t, broker)
		w, err := u.store.OpenWriter(t.Context(), stream.WriterConfig{
			Session: sessionID, Info: stream.Info{Stream: "t1"},
		})
		if err != nil {
			t.Fatal(err)
		}

		if err := turn.Post(t.Context(), u.bus, turn.Record{
			ID: "t1", Session: sessionID, Component: component, Root: "t1", Ahead: true,
		}, nil); err != nil {
			t.Fatal(err)
		}

		for range 10 { // the input is still being written
			if err := errors.Join(w.Send(t.Context(), []byte("x")), w.Flush(t.Context())); err != nil {
				t.Fatal(err)
			}

			<-time.After(20 * time.Minute)
		}

		w.Abandon()

		if n := runs.Load(); n > 5 {
			t.Errorf("executed %d times, want 5 at most", n)
		}

		dead := u.dead()
		if len(dead) != 1 {
			t.Fatalf("%d dead letters, want 1", len(dead))
		}
	})
}

// A turn hears a cancel although the last one before it has expired while the turn runs.
func TestACancelIsHeardAfterOlderOnesExpired(t *testing.T) {
	t.Parallel()

	for name, wait := range map[string]time.Duration{"one is there": 10 * time.Second, "all have expired": 10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{MaxAge: time.Hour})
				start(t, broker, turn.Config{Idle: -1, MaxDuration: -1}, func(ctx context.Context, a *turn.Attempt) error {
					_ = a.Output.Send(ctx, []byte("x"))
					<-ctx.Done()

					return ctx.Err()
				})

				u := newUser(t, broker)
				u.cancel(session.Cancel{Root: "other"})
				<-time.After(59 * time.Minute)
				u.post("t1", "x")
				<-time.After(wait)
				u.cancel(session.Cancel{Root: "t1", Reason: "stop"})
				<-time.After(10 * time.Second)

				k, err := u.store.Kept(t.Context(), bus.StreamID{Session: sessionID, Stream: outputID("t1", component)}, 100)
				if k.State != bus.Cancelled {
					t.Errorf("10 s after the cancel the turn is %q, %v", k.State, err)
				}
			})
		})
	}
}

// A cancel of the whole session is about every turn that was posted before it, and about no other, whichever life of the
// control log the turn and the cancel are of.
func TestACancelOfASessionKnowsWhatWasPostedBefore(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		older   int           // cancels that were there when the turn was posted
		pass    time.Duration // between these and the post
		cancels bool          // all is cancelled, after the post
		then    time.Duration // between the post and that
	}{
		"posted after older ones":                      {older: 2, pass: time.Minute},
		"posted before it":                             {older: 2, pass: time.Minute, then: time.Minute, cancels: true},
		"its mark expired before it":                   {older: 2, pass: 59 * time.Minute, then: 2 * time.Minute, cancels: true},
		"posted when older ones had expired":           {older: 2, pass: 61 * time.Minute},
		"posted and cancelled when these had expired":  {older: 2, pass: 61 * time.Minute, then: time.Minute, cancels: true},
		"posted in a session that never was cancelled": {then: time.Minute, cancels: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{MaxAge: time.Hour})
				u := newUser(t, broker)

				blocking, free := make(chan struct{}), make(chan struct{})
				start(t, broker, turn.Config{Idle: -1, MaxDuration: -1}, func(ctx context.Context, a *turn.Attempt) error {
					if a.Record.ID == "t0" { // keeps the claim, and with it the cancels that are known
						close(blocking)
						<-free
						_, err := a.Input.ReadAll(ctx)

						return err
					}

					return echo(ctx, a)
				})

				for range c.older {
					u.cancel(session.Cancel{})
				}

				mark := func(id string) {
					m, err := session.Mark(t.Context(), u.store, sessionID)
					if err != nil {
						t.Fatal(err)
					}

					u.write(id, "x")

					if err := turn.Post(t.Context(), u.bus, turn.Record{
						ID: id, Session: sessionID, Component: component, Root: id, Mark: m,
					}, nil); err != nil {
						t.Fatal(err)
					}
				}

				mark("t0")
				<-blocking
				<-time.After(c.pass)
				mark("t1")
				<-time.After(c.then)

				if c.cancels {
					u.cancel(session.Cancel{Reason: "stop"})
				}

				synctest.Wait() // until it is heard
				close(free)

				_, end := u.answer("t1")
				if cancelled := end != nil && end.End.State == bus.Cancelled; cancelled != c.cancels {
					t.Errorf("the turn ended as %v; want it cancelled: %v", end, c.cancels)
				}
			})
		})
	}
}
