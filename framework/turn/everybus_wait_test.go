package turn_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/session"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/turn"
)

// TestACancelledTurnThatWaitsEndsOnEveryBus lets a turn wait for an hour, in an instance with room for one turn that runs
// others meanwhile, hands it over to another instance, and cancels it there.
func TestACancelledTurnThatWaitsEndsOnEveryBus(t *testing.T) {
	t.Parallel()

	for name, open := range everyBus(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()

			user := participate(t, open)
			failed := make(chan struct{}, 1)
			handle := func(ctx context.Context, a *turn.Attempt) error {
				if a.Record.ID == "waits" {
					failed <- struct{}{}

					return turn.RetryAfter(time.Hour, errBusy)
				}

				return echo(ctx, a)
			}

			leave := serve(t, open, handle)
			user.posts(ctx, t, "waiting", "waits")
			<-failed
			user.posts(ctx, t, "other", "runs")
			user.wantEnd(ctx, t, "other", "runs", bus.Completed)

			stay := serve(t, open, handle)
			defer stay()

			leave()

			if _, err := session.Post(ctx, user.store, "waiting", session.Cancel{Root: "waits"}); err != nil {
				t.Fatal(err)
			}

			user.posts(ctx, t, "waiting", "runs")
			user.wantEnd(ctx, t, "waiting", "waits", bus.Cancelled)
			user.wantEnd(ctx, t, "waiting", "runs", bus.Completed)
		})
	}
}

// participate connects to a bus until the test ends.
func participate(t *testing.T, open func() (bus.Bus, error)) *participant {
	t.Helper()

	p, err := join(open)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.leave(t) })

	return p
}

// serve runs an instance with room for one turn until stop is called.
func serve(t *testing.T, open func() (bus.Bus, error), handle turn.Handler) (stop func()) {
	t.Helper()

	p := participate(t, open)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() {
		cfg := turn.Config{Component: component, Concurrency: 1, Drain: -1}
		ended <- turn.NewWorker(p.bus, p.store, cfg).Run(ctx, handle)
	}()

	return func() {
		cancel()

		if err := <-ended; err != nil {
			t.Errorf("worker ended: %v", err)
		}
	}
}

// posts posts a turn.
func (p *participant) posts(ctx context.Context, t *testing.T, in, id string) {
	t.Helper()

	if err := p.post(ctx, component, in, id); err != nil {
		t.Fatal(err)
	}
}

// wantEnd waits for the end of a turn's answer.
func (p *participant) wantEnd(ctx context.Context, t *testing.T, in, id string, want bus.State) {
	t.Helper()

	r, err := p.store.OpenReader(ctx, bus.StreamID{Session: in, Stream: outputID(id, component)}, bus.Cursor{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()

	state := bus.Completed
	_, err = r.ReadAll(ctx)

	if end, ok := errors.AsType[*stream.EndError](err); ok {
		state = end.End.State
	} else if err != nil {
		t.Fatalf("answer of %s in %s: %v", id, in, err)
	}

	if state != want {
		t.Errorf("%s in %s is %s, want %s", id, in, state, want)
	}
}
