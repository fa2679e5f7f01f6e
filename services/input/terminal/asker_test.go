package terminal_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/services/input/terminal"
)

// shout answers every prompt but those that it fails.
func shout(ctx context.Context, turn *framework.Turn) error {
	prompt, err := turn.Input.ReadAll(ctx)
	if err != nil {
		return err
	}

	if bytes.HasPrefix(prompt, []byte("fail")) {
		return framework.Terminate(errors.New("as told\x1b[2J"))
	}

	return turn.Output.Send(ctx, bytes.ToUpper(prompt))
}

func TestPromptsAreAnsweredOneAfterAnother(t *testing.T) {
	t.Parallel()

	b := membus.New(membus.Config{})
	ctx, stop := context.WithCancel(t.Context())
	worked := make(chan error, 1)

	go func() {
		worked <- framework.Run(ctx, framework.Service{Name: "shout", Handler: shout}, framework.Config{Bus: b})
	}()

	client, err := framework.Connect(t.Context(), framework.Config{Bus: b})
	if err != nil {
		t.Fatal(err)
	}

	var notices strings.Builder

	asker, err := terminal.NewAsker(t.Context(), client, framework.Post{Session: "s1", Component: "shout"}, &notices)
	if err != nil {
		t.Fatal(err)
	}

	var asked []string

	err = terminal.Loop(t.Context(), terminal.NewLines(strings.NewReader("one\nfail\n\xff two\n"), 0),
		func(ctx context.Context, prompt string) error {
			asked = append(asked, prompt)

			return asker.Ask(ctx, prompt)
		})
	if left := (*terminal.UnansweredError)(nil); !errors.As(err, &left) || left.Asked != 3 || left.Unanswered != 1 {
		t.Errorf("error = %v", err)
	}

	if diff := cmp.Diff([]string{"one", "fail", "\xff two"}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}

	if want := "the answer failed: as told [2J\n"; notices.String() != want {
		t.Errorf("notices = %q, want %q", notices.String(), want)
	}

	asker.Close()
	stop()

	if err := errors.Join(<-worked, client.Close(t.Context()), b.Close(t.Context())); err != nil {
		t.Error(err)
	}
}
