package turn_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/turn"
)

var errBusy = errors.New("rate limited")

// patient sends a word of each turn and wants a while until the next attempt. It answers t2 at once.
func patient(d time.Duration, runs *int) turn.Handler {
	return func(ctx context.Context, a *turn.Attempt) error {
		if a.Record.ID == "t2" {
			return echo(ctx, a)
		}

		*runs++
		if *runs > 1 {
			return echo(ctx, a)
		}

		return errors.Join(a.Output.Send(ctx, []byte("half")), a.Output.Flush(ctx), turn.RetryAfter(d, errBusy))
	}
}

// A turn that waits for its next attempt ends as soon as it is cancelled, and what waits behind it begins.
func TestACancelledTurnDoesNotWaitForItsNextAttempt(t *testing.T) {
	t.Parallel()

	ten := 10 * time.Minute

	for name, c := range map[string]struct {
		cancel session.Cancel
		// meanwhile happens between the failure and the cancel.
		meanwhile func(t *testing.T, broker *membus.Broker, first *instance, runs *int)
	}{
		"the turn":    {cancel: session.Cancel{Root: "t1", Reason: "stop"}},
		"the session": {cancel: session.Cancel{Reason: "stop"}},
		"after its instance has drained": {
			cancel: session.Cancel{Root: "t1", Reason: "stop"},
			meanwhile: func(t *testing.T, broker *membus.Broker, first *instance, runs *int) {
				t.Helper()
				first.stop()
				start(t, broker, turn.Config{}, patient(ten, runs))
			},
		},
		"after its instance has died": {
			cancel: session.Cancel{Root: "t1", Reason: "stop"},
			meanwhile: func(t *testing.T, broker *membus.Broker, first *instance, runs *int) {
				t.Helper()

				_ = first.bus.Close(t.Context()) // membus always succeeds

				start(t, broker, turn.Config{}, patient(ten, runs))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{})
				runs := 0
				first := start(t, broker, turn.Config{}, patient(ten, &runs))
				u := newUser(t, broker)
				u.post("t1", "x")
				<-time.After(time.Second)

				if c.meanwhile != nil {
					c.meanwhile(t, broker, first, &runs)
					<-time.After(10 * time.Second)
				}

				begin := time.Now()
				u.cancel(c.cancel)

				mark, err := session.Mark(t.Context(), u.store, sessionID)
				if err != nil {
					t.Fatal(err)
				}

				u.write("t2", "y")

				r := turn.Record{ID: "t2", Session: sessionID, Component: component, Root: "t2", Mark: mark}
				if err := turn.Post(t.Context(), u.bus, r, nil); err != nil {
					t.Fatal(err)
				}

				u.wantCancelled(outputID("t1", component), "half", "stop")
				u.wantAnswer("t2", "y")

				if took := time.Since(begin); took > time.Second || runs != 1 {
					t.Errorf("it took %v, and %d executions; want less than 1s, and one", took, runs)
				}
			})
		})
	}
}

// A turn waits for as long as its handler wanted, whatever becomes of the instance that waits.
func TestAWaitOutlivesItsInstance(t *testing.T) {
	t.Parallel()

	for name, leave := range map[string]func(t *testing.T, i *instance){
		"none leaves": func(*testing.T, *instance) {},
		"it drains":   func(_ *testing.T, i *instance) { i.stop() },
		"it dies":     func(t *testing.T, i *instance) { t.Helper(); _ = i.bus.Close(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{})
				runs := 0
				first := start(t, broker, turn.Config{MaxDeaths: 1}, patient(time.Minute, &runs))
				u := newUser(t, broker)
				begin := time.Now()
				u.post("t1", "x")
				<-time.After(10 * time.Second)
				leave(t, first)
				start(t, broker, turn.Config{MaxDeaths: 1}, patient(time.Minute, &runs))
				u.wantAnswer("t1", "x")

				if took := time.Since(begin); took < time.Minute || took > time.Minute+2*time.Second {
					t.Errorf("answered after %v, want a minute", took)
				}
			})
		})
	}
}

// Any number of turns may wait in an instance that works on one at a time, and keep none from running.
func TestTurnsThatWaitTakeNoRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const waiting = 1100 // more than are held

		broker := membus.NewBroker(membus.Config{})
		busy := 0
		start(t, broker, turn.Config{Concurrency: 1}, func(ctx context.Context, a *turn.Attempt) error {
			busy++
			if busy > 1 {
				t.Error("two turns run at once")
			}
			defer func() { busy-- }()

			<-time.After(time.Millisecond)

			if a.Record.Session != sessionID {
				if a.Deliveries == 1 {
					return turn.RetryAfter(time.Minute, errBusy)
				}

				return nil
			}

			return echo(ctx, a)
		})

		u := newUser(t, broker)

		for i := range waiting {
			s := fmt.Sprint("w", i)
			r := turn.Record{ID: "w", Session: s, Component: component, Root: "w"}
			if err := turn.Post(t.Context(), u.bus, r, nil); err != nil {
				t.Fatal(err)
			}
		}

		<-time.After(20 * time.Second)

		begin := time.Now()
		u.post("t1", "x")
		u.wantAnswer("t1", "x")

		if took := time.Since(begin); took > time.Second {
			t.Errorf("answered after %v", took)
		}

		for i := range waiting {
			id := bus.StreamID{Session: fmt.Sprint("w", i), Stream: outputID("w", component)}

			r, err := u.store.OpenReader(t.Context(), id, bus.Cursor{})
			if err != nil {
				t.Fatal(err)
			}

			if _, err := r.ReadAll(t.Context()); err != nil {
				t.Error(err)
			}

			r.Close()
		}

		if took := time.Since(begin); took > time.Minute {
			t.Errorf("the last one that waited ended after %v", took)
		}
	})
}

// A turn that was handed over before anybody began it has not died, nor used up a try.
func TestAHandOverIsNoDeath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		finish := make(chan struct{})
		handle := func(ctx context.Context, a *turn.Attempt) error {
			if a.Record.ID == "t1" {
				<-finish
			} else if a.Deliveries != 1 {
				t.Errorf("delivery %d of a turn that nobody had", a.Deliveries)
			}

			return echo(ctx, a)
		}
		first := start(t, broker, turn.Config{MaxDeaths: 1}, handle)
		u := newUser(t, broker)
		u.post("t1", "x")
		u.post("t2", "x")
		<-time.After(time.Second)

		go first.stop() // t1 goes on while it drains, t2 is to be handed over

		<-time.After(time.Second)
		close(finish)
		<-time.After(time.Second)
		start(t, broker, turn.Config{MaxDeaths: 1}, handle)
		u.wantAnswer("t1", "x")
		u.wantAnswer("t2", "x")
	})
}

// fastBus has a clock that is fast.
type fastBus struct {
	*membus.Bus

	by time.Duration
}

// Now implements [bus.Clock].
func (b *fastBus) Now(ctx context.Context) (time.Time, error) {
	now, err := b.Bus.Now(ctx)

	return now.Add(b.by), err
}

// Whoever takes over a turn that waits waits for as long as was set, at most, though the clock that set it was wrong.
func TestAWaitIsNotLongerThanWasSetWhateverTheClocksSay(t *testing.T) {
	t.Parallel()

	for _, by := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		t.Run(by.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{})
				runs := 0
				fast := &fastBus{Bus: broker.Open(), by: by}
				work(t, fast, turn.Config{}, patient(time.Minute, &runs))

				u := newUser(t, broker)
				begin := time.Now()
				u.post("t1", "x")
				<-time.After(10 * time.Second)

				_ = fast.Close(t.Context())
				start(t, broker, turn.Config{}, patient(time.Minute, &runs))
				u.wantAnswer("t1", "x")

				if took := time.Since(begin); took > 2*time.Minute {
					t.Errorf("answered after %v, want two minutes at most", took)
				}
			})
		})
	}
}
