package turn_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/turn"
	"github.com/woodwork-go/woodwork/subjects"
)

// A branch that an attempt opened, and no later one, ends with its turn, whatever becomes of that: its reader waits for it.
func TestBranchesOfEarlierAttemptsEndWithTheTurn(t *testing.T) {
	t.Parallel()

	const unwritten = "the turn completed in an attempt that did not write this output"

	branch := subjects.Derive("t1", component, "t1", "speak")

	// branching opens a branch in the first attempt only.
	branching := func(ctx context.Context, a *turn.Attempt) error {
		w, err := a.OpenOutput(ctx, "speak")
		if err != nil {
			return err
		}

		return errors.Join(w.Send(ctx, []byte("hel")), w.Flush(ctx))
	}

	for name, c := range map[string]struct {
		dies   bool // the first instance dies, else its handler fails
		then   error
		cancel bool
		state  bus.State
		reason string
	}{
		"completed":               {state: bus.Failed, reason: unwritten},
		"completed after a death": {dies: true, state: bus.Failed, reason: unwritten},
		"failed":                  {then: turn.Terminate(errPoison), state: bus.Failed, reason: "poison"},
		"failed after a death":    {dies: true, then: turn.Terminate(errPoison), state: bus.Failed, reason: "poison"},
		"cancelled":               {cancel: true, state: bus.Cancelled, reason: "stop"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{})
				u := newUser(t, broker)
				u.post("t1", "x")

				first := start(t, broker, turn.Config{}, func(ctx context.Context, a *turn.Attempt) error {
					if err := branching(ctx, a); err != nil || !c.dies {
						return errors.Join(err, turn.RetryAfter(time.Minute, errPoison))
					}

					<-ctx.Done()

					return ctx.Err()
				})

				<-time.After(time.Second)

				if c.dies {
					_ = first.bus.Close(t.Context()) // membus always succeeds
				} else {
					first.stop()
				}

				if c.cancel {
					u.cancel(session.Cancel{Root: "t1", Reason: "stop"})
				}

				start(t, broker, turn.Config{}, func(context.Context, *turn.Attempt) error { return c.then })

				text, end := u.read(branch)
				if end == nil || end.End.State != c.state || end.End.Reason != c.reason || text != "hel" {
					t.Errorf("the branch is %q, %v; want it %s: %s", text, end, c.state, c.reason)
				}
			})
		})
	}
}
