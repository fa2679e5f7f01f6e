package turn_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/turn"
)

func TestATurnThatTakesTooLongFails(t *testing.T) {
	t.Parallel()

	// slow sends a word each second until it is stopped.
	slow := func(ctx context.Context, a *turn.Attempt) error {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()

		for {
			select {
			case <-ticker.C:
				if err := a.Output.Send(ctx, []byte("word ")); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	silent := func(ctx context.Context, _ *turn.Attempt) error { <-ctx.Done(); return ctx.Err() }

	for name, c := range map[string]struct {
		handle turn.Handler
		after  time.Duration
		reason string
	}{
		"all of it": {slow, time.Minute, "longer than 1m0s"},
		"silence":   {silent, 10 * time.Second, "nothing was read or sent for 10s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{})
				start(t, broker, turn.Config{MaxDuration: time.Minute, Idle: 10 * time.Second}, c.handle)

				u := newUser(t, broker)
				u.post("t1", "hello")

				begin := time.Now()
				_, end := u.answer("t1")

				if end == nil || end.End.State != bus.Failed || !strings.Contains(end.End.Reason, c.reason) {
					t.Errorf("ended with %v, want failed: %s", end, c.reason)
				}

				if took := time.Since(begin); took < c.after || took > c.after*5/4 {
					t.Errorf("ended after %v, want %v", took, c.after)
				}
			})
		})
	}
}

// An input whose writer has gone away for good must not hold up its session.
func TestAnInputThatNeverEndsFailsItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		start(t, broker, turn.Config{}, echo)

		u := newUser(t, broker)
		u.input("t1").Abandon()
		u.letter("t1")
		u.post("t2", "next")

		if _, end := u.answer("t1"); end == nil || end.End.State != bus.Failed {
			t.Errorf("the turn without an input ended with %v, want failed", end)
		}

		if text, _ := u.answer("t2"); text != "next" {
			t.Errorf("the next turn answered %q", text)
		}
	})
}
