package terminal_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/services/input/terminal"
)

func TestLoopAsksInOrderAndOneAtATime(t *testing.T) {
	t.Parallel()

	var got []string

	err := terminal.Loop(t.Context(), terminal.NewLines(strings.NewReader("a\nb\nc"), 0),
		func(_ context.Context, prompt string) error {
			got = append(got, prompt) // the race detector sees two at a time

			return nil
		})
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"a", "b", "c"}, got); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestLoopGoesOnAfterAFailedAnswerAndTells(t *testing.T) {
	t.Parallel()

	asked := 0
	failThe := func(nth int) terminal.AskFunc {
		return func(context.Context, string) error {
			asked++

			if asked == nth {
				return &terminal.AnswerError{State: "failed", Reason: "no such model"}
			}

			return nil
		}
	}

	err := terminal.Loop(t.Context(), terminal.NewLines(strings.NewReader("a\nb\nc"), 0), failThe(2))
	if want := "1 of 3 prompts have no complete answer"; err == nil || err.Error() != want {
		t.Errorf("piped: error = %v, want %s", err, want)
	}

	asked = 0
	keys := terminal.NewEditor(terminal.EditorConfig{In: strings.NewReader("a\rb\rc\r\x04"), Out: io.Discard})

	if err := terminal.Loop(t.Context(), keys, failThe(2)); err != nil || asked != 3 {
		t.Errorf("typed: error = %v after %d prompts, want none after 3", err, asked)
	}
}

func TestLoopEndsWithTheFirstErrorThatIsNotAnAnswers(t *testing.T) {
	t.Parallel()

	gone := errors.New("bus is gone")
	asked := 0

	err := terminal.Loop(t.Context(), terminal.NewLines(strings.NewReader("a\nb"), 0),
		func(context.Context, string) error { asked++; return gone })
	if !errors.Is(err, gone) || asked != 1 {
		t.Errorf("error = %v after %d prompts", err, asked)
	}
}

func TestAPersonMayGoOnAfterAPromptThatCouldNotBeAsked(t *testing.T) {
	t.Parallel()

	var (
		screen strings.Builder
		asked  []string
	)

	keys := terminal.NewEditor(terminal.EditorConfig{In: strings.NewReader("a\rb\rc\r\x04"), Out: &screen})

	err := terminal.Loop(t.Context(), keys, func(_ context.Context, prompt string) error {
		asked = append(asked, prompt)

		if prompt == "b" {
			return errors.New("the bus\x1b[2J is away")
		}

		return nil
	})
	if diff := cmp.Diff([]string{"a", "b", "c"}, asked); diff != "" || err != nil {
		t.Errorf("error = %v, asked (-want +got):\n%s", err, diff)
	}

	if want := "the prompt failed: the bus [2J is away\r\n"; strings.Count(screen.String(), want) != 1 {
		t.Errorf("the screen shows %q, want %q", screen.String(), want)
	}
}

func TestAPersonCanNotGoOnWithoutABus(t *testing.T) {
	t.Parallel()

	cancelled, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("terminated")

	for name, c := range map[string]struct {
		ask  terminal.AskFunc
		want error
	}{
		"closed bus":    {func(context.Context, string) error { return bus.ErrClosed }, bus.ErrClosed},
		"closed store":  {func(context.Context, string) error { return stream.ErrClosed }, stream.ErrClosed},
		"ended context": {func(context.Context, string) error { cancel(reason); return reason }, reason},
	} {
		ctx := t.Context()
		if errors.Is(c.want, reason) {
			ctx = cancelled
		}

		keys := terminal.NewEditor(terminal.EditorConfig{In: strings.NewReader("a\rb\r\x04"), Out: io.Discard})
		if err := terminal.Loop(ctx, keys, c.ask); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoopEndsWithItsContextWhileItWaitsForInput(t *testing.T) {
	t.Parallel()

	in, out := io.Pipe()
	stopped := errors.New("terminated")
	ctx, stop := context.WithCancelCause(t.Context())
	done := make(chan error, 1)

	go func() {
		done <- terminal.Loop(ctx, terminal.NewLines(in, 0), func(context.Context, string) error {
			stop(stopped)

			return nil
		})
	}()

	if _, err := io.WriteString(out, "one\n"); err != nil {
		t.Fatal(err)
	}

	if err := <-done; !errors.Is(err, stopped) {
		t.Errorf("error = %v, want the context's cause", err)
	}

	if err := out.Close(); err != nil { // lets the last read end
		t.Fatal(err)
	}
}

func TestAnswerErrorSaysWhatHappened(t *testing.T) {
	t.Parallel()

	for want, err := range map[string]*terminal.AnswerError{
		"the answer failed":               {State: "failed"},
		"the answer failed: quota":        {State: "failed", Reason: "quota"},
		"the answer was cancelled: by me": {State: "cancelled", Reason: "by me"},
	} {
		if err.Error() != want {
			t.Errorf("message = %q, want %q", err.Error(), want)
		}
	}
}
