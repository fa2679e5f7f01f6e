package redisbus

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// TestCommandsWithoutAnswersBreakTheConnection although the subscribed connection still stands, once that is more than a
// single failure; the first answer mends it.
func TestCommandsWithoutAnswersBreakTheConnection(t *testing.T) {
	t.Parallel()

	for name, ask := range map[string]func(context.Context, *Bus) error{
		"one by one": func(ctx context.Context, b *Bus) error {
			_, err := b.Peek(ctx, "c", "s")

			return err
		},
		"in a batch": func(ctx context.Context, b *Bus) error {
			_, err := b.Append(ctx, &bus.Frame{
				ID: bus.StreamID{Session: "s", Stream: rand.Text()}, Attempt: 1, Begin: true, Lengths: []int{0},
			}, nil)

			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			breaksWithoutAnswers(t, ask)
		})
	}
}

func breaksWithoutAnswers(t *testing.T, ask func(context.Context, *Bus) error) {
	t.Helper()

	const pause = 4 * time.Second

	server := redistest.Run(t, redistest.Options{})
	b := open(t, Config{URL: server.URL(), AppendTimeout: 100 * time.Millisecond})
	failed := func() error { return ask(context.WithoutCancel(t.Context()), b) }

	c := admin(t, server.URL())
	must(c.Do(t.Context(), "CLIENT", "PAUSE", pause.Milliseconds(), "ALL").Result())(t)

	if err := failed(); !errors.Is(err, bus.ErrUnknown) {
		t.Fatalf("a paused server answers with %v", err)
	}

	if !b.Connection().Up {
		t.Error("one command without an answer broke the connection")
	}

	for b.Connection().Up {
		if failed() == nil {
			t.Fatal("the server answers before the connection counts as broken")
		}
	}

	down := b.Connection()
	if down.Lost != 1 || down.Reason == "" || !b.hub.connected() {
		t.Errorf("it is %+v; subscribed: %v", down, b.hub.connected())
	}

	for failed() != nil { //nolint:revive // until the pause is over
	}

	if up := b.Connection(); !up.Up || up.Lost != 1 || !up.Since.After(down.Since) {
		t.Errorf("it is %+v, was %+v", up, down)
	}
}

// TestACommandGivenUpSaysNothing about the connection.
func TestACommandGivenUpSaysNothing(t *testing.T) {
	t.Parallel()

	var c contact

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	c.judge(ended, context.Canceled)
	c.judge(t.Context(), nil)
	c.heard()
	c.judge(ended, context.Canceled)

	if c.failing.Load() || !c.log.Now().Up {
		t.Errorf("it is %+v", c.log.Now())
	}
}

// TestBothWaysMustBeMended before the connection counts as mended, in any order.
func TestBothWaysMustBeMended(t *testing.T) {
	t.Parallel()

	var c contact

	c.heard()
	c.unheard(errors.New("deaf"))
	c.unanswered(errors.New("mute"))
	c.since = c.since.Add(-mutePatience)
	c.unanswered(errors.New("mute"))

	for i, step := range []struct {
		do   func()
		want bool
	}{{c.heard, false}, {func() { c.unheard(errors.New("deaf")) }, false}, {c.answered, false}, {c.heard, true}} {
		step.do()

		if got := c.log.Now(); got.Up != step.want || got.Lost != 1 || got.Reason != "deaf" {
			t.Errorf("after step %d: %+v", i, got)
		}
	}
}
