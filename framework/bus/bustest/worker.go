package bustest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// post puts a letter into its mailbox and repeats that while the outcome is unknown.
func post(ctx context.Context, b bus.Bus, l *bus.Letter) error {
	for {
		err := b.Post(ctx, l)
		if !errors.Is(err, bus.ErrUnknown) && !errors.Is(err, bus.ErrBusy) {
			return err
		}

		if !pause(ctx) {
			return fmt.Errorf("gave up: %w", err)
		}
	}
}

func letter(component, session string, n int) *bus.Letter {
	return &bus.Letter{
		ID: fmt.Sprint("turn-", n), Component: component, Session: session, Body: fmt.Append(nil, "body ", n),
	}
}

// mustPost posts letters with numbers from to below to.
func mustPost(t *testing.T, b bus.Bus, component, session string, from, to int) {
	t.Helper()

	for n := from; n < to; n++ {
		if err := post(t.Context(), b, letter(component, session, n)); err != nil {
			t.Fatalf("post letter %d: %v", n, err)
		}
	}
}

// work serves a component until the returned function is called, which returns Work's error, or the test ends.
func work(
	t *testing.T, b bus.Bus, component string, cfg bus.WorkConfig, serve func(context.Context, bus.Claim),
) (stop func() error) {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})

	var err error

	go func() {
		defer close(over)

		err = b.Work(ctx, component, cfg, serve)
	}()

	stop = func() error {
		cancel()
		receive(t, "end of Work", over)

		return err
	}
	t.Cleanup(func() { _ = stop() })

	return stop
}

// serveAll returns a serve function that does every letter after passing it to see. When it doesn't know an outcome it
// leaves the mailbox to be handed out again, so letters may be seen twice.
func serveAll(t *testing.T, see func(*bus.Letter)) func(context.Context, bus.Claim) {
	t.Helper()

	return func(ctx context.Context, c bus.Claim) {
		for {
			l, err := c.Next(ctx)
			if err == nil && l != nil {
				see(l)
				err = c.Done(ctx, l)
			}

			if err != nil && !errors.Is(err, bus.ErrUnknown) && ctx.Err() == nil {
				t.Errorf("serve: %v", err)
			}

			if err != nil || l == nil {
				return
			}
		}
	}
}

// inOrder removes repeated letters and checks the order of the rest, which are numbered from 0 below n.
func inOrder(t *testing.T, session string, got []*bus.Letter, n int) {
	t.Helper()

	seen := make(map[string]bool)

	for _, l := range got {
		if seen[l.ID] {
			continue
		}

		if want := fmt.Sprint("turn-", len(seen)); l.ID != want {
			t.Errorf("session %s: got %s, want %s", session, l.ID, want)

			return
		}

		seen[l.ID] = true
	}

	if len(seen) != n {
		t.Errorf("session %s: got %d letters, want %d", session, len(seen), n)
	}
}

// quiet fails the test when something comes out of a channel within d.
func quiet[T any](t *testing.T, what string, from <-chan T, d time.Duration) {
	t.Helper()

	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case v := <-from:
		t.Errorf("%s: %v", what, v)
	case <-timer.C:
	}
}
