package framework_test

import (
	"context"
	"errors"
	"testing"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// A poison turn is set aside after its attempts, its session answers the next turn, and a replay completes it once the
// handler is fixed.
func TestPoisonIsSetAsideAndReplayed(t *testing.T) {
	t.Parallel()

	for name, b := range buses(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			cfg := framework.Config{Bus: b}
			repaired := make(chan struct{})
			runService(t, cfg, framework.Service{
				Name: "llm", MaxAttempts: 2, Handler: func(ctx context.Context, turn *framework.Turn) error {
					said, err := turn.Input.ReadAll(ctx)
					if err != nil {
						return err
					}

					select {
					case <-repaired:
					default:
						if string(said) == "poison" {
							return errors.New("can't swallow that")
						}
					}

					return turn.Output.Send(ctx, append([]byte("you said "), said...))
				},
			})

			c := connect(t, cfg)
			poison, next := post(t, c, "poison"), post(t, c, "honey")

			if got, end := answer(t, c, poison); end.State != bus.Failed {
				t.Errorf("poison was answered with %q, %v", got, end)
			}

			if got, end := answer(t, c, next); got != "you said honey" || end.State != bus.Completed {
				t.Errorf("the next turn was answered with %q, %v", got, end)
			}

			d := onlyDead(t, c)
			if d.ID != poison.Turn || string(d.Input) != "poison" || len(d.Attempts) != 2 || d.Attempts[0].Instance == "" {
				t.Errorf("dead letter %+v", d)
			}

			close(repaired)

			again, err := c.Replay(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}

			if got, end := answer(t, c, again); got != "you said poison" || end.State != bus.Completed {
				t.Errorf("the replay was answered with %q, %v", got, end)
			}

			for d, err := range c.DeadLetters(t.Context(), "") {
				t.Errorf("%v, %v is left", d, err)
			}
		})
	}
}

func TestDropDead(t *testing.T) {
	t.Parallel()

	for name, b := range buses(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			cfg := framework.Config{Bus: b}
			runService(t, cfg, framework.Service{Name: "llm", Handler: func(context.Context, *framework.Turn) error {
				return framework.Terminate(errors.New("never"))
			}})

			c := connect(t, cfg)
			answer(t, c, post(t, c, "hello"))

			if err := c.DropDead(t.Context(), onlyDead(t, c)); err != nil {
				t.Fatal(err)
			}

			for d, err := range c.DeadLetters(t.Context(), "llm") {
				t.Errorf("%v, %v is left", d, err)
			}
		})
	}
}

// runService runs a service until the test ends.
func runService(t *testing.T, cfg framework.Config, s framework.Service) {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)

	go func() { done <- framework.Run(ctx, s, cfg) }()

	t.Cleanup(func() {
		cancel()

		if err := <-done; err != nil {
			t.Errorf("the service ended: %v", err)
		}
	})
}

func post(t *testing.T, c *framework.Client, text string) framework.Ref {
	t.Helper()

	ref, err := c.Post(t.Context(), framework.Post{Session: "s1", Component: "llm"}, []byte(text))
	if err != nil {
		t.Fatal(err)
	}

	return ref
}

// answer returns what a turn was answered with, and how that ended.
func answer(t *testing.T, c *framework.Client, ref framework.Ref) (string, stream.End) {
	t.Helper()

	f, err := c.Follow(t.Context(), stream.FollowConfig{Session: ref.Session})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()

	var text string

	for {
		e, err := f.Next(t.Context())

		switch {
		case err != nil:
			t.Fatal(err)
		case e.Info.Root != ref.Turn:
		case e.Event.Kind == stream.KindChunk:
			text += string(e.Event.Chunk.Data)
		case e.Event.Kind == stream.KindSuperseded && e.Event.From == 0:
			text = ""
		case e.Event.Kind == stream.KindEnd:
			return text, e.Event.End
		}
	}
}

func onlyDead(t *testing.T, c *framework.Client) *bus.DeadLetter {
	t.Helper()

	var list []*bus.DeadLetter

	for d, err := range c.DeadLetters(t.Context(), "llm") {
		if err != nil {
			t.Fatal(err)
		}

		list = append(list, d)
	}

	if len(list) != 1 {
		t.Fatalf("%d dead letters, want 1", len(list))
	}

	return list[0]
}
