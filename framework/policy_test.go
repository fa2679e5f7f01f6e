package framework_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// held is a component whose turns wait until they are let go.
type held struct {
	began chan string
	letGo chan struct{}
}

// hold runs such a component on a bus.
func hold(t *testing.T, b bus.Bus) *held {
	t.Helper()

	h := &held{began: make(chan string, 8), letGo: make(chan struct{}, 8)}
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())

	go func() {
		ended <- framework.Run(ctx, framework.Service{
			Name: "held",
			Handler: func(ctx context.Context, turn *framework.Turn) error {
				h.began <- turn.ID

				select {
				case <-h.letGo:
					return turn.Output.Send(ctx, []byte("done"))
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			},
		}, framework.Config{Bus: b, Drain: -1})
	}()
	t.Cleanup(func() {
		stop()

		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	return h
}

func TestRejectRefusesATurnWhileAnotherIsNotDone(t *testing.T) {
	t.Parallel()

	for name, b := range buses(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			client := connect(t, framework.Config{Bus: b})
			h := hold(t, b)
			post := func(session, id string) error {
				p := framework.Post{Session: session, Component: "held", ID: id, Policy: framework.Reject}
				_, err := client.Post(t.Context(), p, []byte("x"))

				return err
			}

			if err := post("s", "first"); err != nil {
				t.Fatal(err)
			}

			<-h.began

			if err := post("s", "second"); !errors.Is(err, framework.ErrSessionBusy) {
				t.Errorf("a second turn: %v", err)
			}

			if err := post("s", "first"); err != nil {
				t.Errorf("the first turn, posted again: %v", err)
			}

			if err := post("another", "other"); err != nil {
				t.Errorf("a turn of another session: %v", err)
			}

			events, err := client.Follow(t.Context(), stream.FollowConfig{Session: "s"})
			if err != nil {
				t.Fatal(err)
			}
			defer events.Close()

			h.letGo <- struct{}{}
			h.letGo <- struct{}{}

			if got := text(t, events); got != "done" {
				t.Errorf("got %q", got)
			}

			h.letGo <- struct{}{}

			err = framework.ErrSessionBusy
			for try := 0; errors.Is(err, framework.ErrSessionBusy) && try < 50; try++ { // each waits, on a busy machine
				err = post("s", "third")
			}

			if err != nil {
				t.Errorf("after the end of the first: %v", err)
			}
		})
	}
}

func TestOpenRejectsToo(t *testing.T) {
	t.Parallel()

	for name, b := range buses(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			client := connect(t, framework.Config{Bus: b})
			h := hold(t, b)
			p := framework.Post{Session: "s", Component: "held", Policy: framework.Reject}

			if _, err := client.Post(t.Context(), p, []byte("x")); err != nil {
				t.Fatal(err)
			}

			<-h.began

			if _, _, err := client.Open(t.Context(), p); !errors.Is(err, framework.ErrSessionBusy) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestPoliciesAreFlags(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]framework.PostPolicy{
		"": framework.Queue, "queue": framework.Queue, "interrupt": framework.Interrupt, "reject": framework.Reject,
	} {
		var got framework.PostPolicy

		fs := flag.NewFlagSet("test", flag.ContinueOnError)
		fs.TextVar(&got, "policy", framework.Queue, "")

		var args []string
		if text != "" {
			args = []string{"-policy", text}
		}

		if err := fs.Parse(args); err != nil || got != want {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}

	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.TextVar(new(framework.PostPolicy), "policy", framework.Queue, "")

	err := fs.Parse([]string{"-policy", "shout"})
	if err == nil || !strings.Contains(err.Error(), "use queue, interrupt or reject") {
		t.Errorf("got %v", err)
	}

	if _, err := framework.PostPolicy(7).MarshalText(); err == nil {
		t.Error("a policy that there is not has a name")
	}
}
