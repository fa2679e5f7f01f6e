package turn_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/turn"
	"github.com/woodwork-go/woodwork/subjects"
)

// hanging sends the input and then waits until it is told to stop.
func hanging(began chan<- error) turn.Handler {
	return func(ctx context.Context, a *turn.Attempt) error {
		for chunk, err := range a.Input.Chunks(ctx) {
			if err != nil {
				return err
			}

			if err := errors.Join(a.Output.Send(ctx, chunk.Data), a.Output.Flush(ctx)); err != nil {
				return err
			}

			began <- nil

			break
		}

		<-ctx.Done()
		began <- context.Cause(ctx)

		return ctx.Err()
	}
}

func (u *user) cancel(c session.Cancel) {
	u.t.Helper()

	if _, err := session.Post(u.t.Context(), u.store, sessionID, c); err != nil {
		u.t.Fatalf("cancel: %v", err)
	}
}

func (u *user) wantCancelled(streamID, text, reason string) {
	u.t.Helper()

	got, end := u.read(streamID)
	if end == nil || end.End.State != bus.Cancelled || end.End.Reason != reason || got != text {
		u.t.Errorf("%s = %q, %v; want %q, cancelled: %s", streamID, got, end, text, reason)
	}
}

func TestACancelReachesEveryComponentOfTheTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		first, second := make(chan error, 2), make(chan error, 2)
		start(t, broker, turn.Config{To: []string{"next"}}, hanging(first))
		start(t, broker, turn.Config{Component: "next"}, hanging(second))

		u := newUser(t, broker)
		u.post("t1", "partial")
		<-first
		<-second
		u.cancel(session.Cancel{Root: "t1", Reason: "changed my mind"})
		u.cancel(session.Cancel{Root: "t1", Reason: "really"})

		for name, cause := range map[string]error{"first": <-first, "second": <-second} {
			if c, ok := errors.AsType[*turn.CancelledError](cause); !ok || c.Reason != "changed my mind" {
				t.Errorf("the %s handler's context ended with %v", name, cause)
			}
		}

		out := subjects.Derive("t1", component, "t1", "next")
		u.wantCancelled(out, "partial", "changed my mind")
		u.wantCancelled(subjects.Derive("t1", "next", out, ""), "partial", "changed my mind")

		u.post("t2", "goes on") // the session does
		<-first
	})
}

func TestATurnThatIsCancelledBeforeItBeginsNeverRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		u := newUser(t, broker)
		u.post("t1", "one")
		u.post("t2", "two")
		u.cancel(session.Cancel{Root: "t1", Reason: "too late"})

		start(t, broker, turn.Config{}, func(ctx context.Context, a *turn.Attempt) error {
			if a.Record.ID == "t1" {
				t.Error("the handler ran for a cancelled turn")
			}

			return echo(ctx, a)
		})

		u.wantCancelled(outputID("t1", component), "", "too late")

		if text, end := u.answer("t2"); text != "two" || end != nil {
			t.Errorf("the turn behind it: %q, %v", text, end)
		}
	})
}

func TestACancelOfTheSessionLeavesLaterTurnsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		u := newUser(t, broker)
		u.post("t1", "one")
		u.cancel(session.Cancel{Reason: "all of it"})

		mark, err := session.Mark(t.Context(), u.store, sessionID)
		if err != nil || mark.Index != 1 {
			t.Fatalf("mark %+v, %v; want 1 event before it", mark, err)
		}

		u.write("t2", "two")

		if err := turn.Post(t.Context(), u.bus, turn.Record{
			ID: "t2", Session: sessionID, Component: component, Root: "t2", Mark: mark,
		}, nil); err != nil {
			t.Fatal(err)
		}

		start(t, broker, turn.Config{}, echo)
		u.wantCancelled(outputID("t1", component), "", "all of it")

		if text, end := u.answer("t2"); text != "two" || end != nil {
			t.Errorf("the later turn: %q, %v", text, end)
		}
	})
}

func TestACancelEndsAnInputThatIsStillBeingWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		began := make(chan error, 2)
		start(t, broker, turn.Config{}, hanging(began))

		u := newUser(t, broker)
		w := u.input("t1")

		if err := errors.Join(w.Send(t.Context(), []byte("I was say")), w.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}

		u.letter("t1")
		<-began
		u.cancel(session.Cancel{Root: "t1", Reason: "enough"})
		u.wantCancelled(outputID("t1", component), "I was say", "enough")
		u.wantCancelled("t1", "I was say", "enough")

		err := errors.Join(w.Send(t.Context(), []byte("ing")), w.Flush(t.Context()))
		if !errors.Is(err, stream.ErrFenced) {
			t.Errorf("going on to write: %v, want ErrFenced", err)
		}
	})
}

// Whoever follows the session learns that the turn was cancelled, and hears of no stream that nobody wrote.
func TestACancelBeforeTheInputBeginsShowsTheAnswerOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		u := newUser(t, broker)
		start(t, broker, turn.Config{}, echo)

		w := u.input("t1")
		r := turn.Record{ID: "t1", Session: sessionID, Component: component, Root: "t1", Ahead: true}

		if err := turn.Post(t.Context(), u.bus, r, nil); err != nil {
			t.Fatal(err)
		}

		synctest.Wait()
		u.cancel(session.Cancel{Root: "t1", Reason: "never mind"})
		u.wantCancelled(outputID("t1", component), "", "never mind")

		if err := w.Send(t.Context(), []byte("too late")); err == nil {
			err = w.Close(t.Context())
			if !errors.Is(err, stream.ErrEnded) && !errors.Is(err, stream.ErrFenced) {
				t.Errorf("going on to write: %v", err)
			}
		}

		f, err := u.store.Follow(t.Context(), stream.FollowConfig{Session: sessionID, All: true})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()

		soon, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()

		var ended []string

		for {
			ev, err := f.Next(soon)
			if err != nil {
				break
			}

			if ev.Event.Kind == stream.KindEnd {
				ended = append(ended, ev.Info.Component+": "+string(ev.Event.End.State))
			}
		}

		if diff := cmp.Diff([]string{component + ": cancelled"}, ended); diff != "" {
			t.Errorf("streams of the session (-want +got):\n%s", diff)
		}
	})
}
