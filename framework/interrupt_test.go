package framework_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// A turn that interrupts another one does not wait for that one's next attempt.
func TestAnInterruptEndsATurnThatWaits(t *testing.T) {
	t.Parallel()

	for name, b := range buses(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			ctx, stop := context.WithCancel(t.Context())
			failed, ended := make(chan struct{}, 1), make(chan error, 1)

			go func() {
				ended <- framework.Run(ctx, framework.Service{
					Name: "busy",
					Handler: func(ctx context.Context, turn *framework.Turn) error {
						if turn.ID == "first" {
							failed <- struct{}{}

							return framework.RetryAfter(time.Hour, errors.New("rate limited"))
						}

						return turn.Output.Send(ctx, []byte("done"))
					},
				}, framework.Config{Bus: b})
			}()

			defer func() {
				stop()

				if err := <-ended; err != nil {
					t.Error(err)
				}
			}()

			client := connect(t, framework.Config{Bus: b})
			post := framework.Post{Session: "interrupted", Component: "busy", ID: "first"}

			if _, err := client.Post(t.Context(), post, []byte("x")); err != nil {
				t.Fatal(err)
			}

			<-failed

			post.ID, post.Policy = "second", framework.Interrupt
			if _, err := client.Post(t.Context(), post, []byte("y")); err != nil {
				t.Fatal(err)
			}

			events, err := client.Follow(t.Context(), stream.FollowConfig{Session: post.Session})
			if err != nil {
				t.Fatal(err)
			}
			defer events.Close()

			patience, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()

			for _, want := range []bus.State{bus.Cancelled, bus.Completed} {
				if got := nextEnd(patience, t, events); got != want {
					t.Errorf("an answer is %s, want %s", got, want)
				}
			}
		})
	}
}

// nextEnd returns how the next stream ends.
func nextEnd(ctx context.Context, t *testing.T, events *stream.Follower) bus.State {
	t.Helper()

	for {
		ev, err := events.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}

		if ev.Event.Kind == stream.KindEnd {
			return ev.Event.End.State
		}
	}
}
