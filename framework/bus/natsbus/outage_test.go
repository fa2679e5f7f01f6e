package natsbus

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// callsOf are calls that try again while the servers can't be reached.
func callsOf(b *Bus) map[string]func(context.Context) error {
	id := testID(1)

	return map[string]func(context.Context) error{
		"last": func(ctx context.Context) error { _, err := b.Last(ctx, id); return err },
		"get":  func(ctx context.Context) error { _, err := b.Get(ctx, bus.Sessions, "k"); return err },
		"peek": func(ctx context.Context) error { _, err := b.Peek(ctx, component, "s"); return err },
		"post": func(ctx context.Context) error { return b.Post(ctx, turn("s", 1)) },
		"bury": func(ctx context.Context) error { return b.Bury(ctx, &bus.DeadLetter{Letter: *turn("s", 1)}) },
		"drop": func(ctx context.Context) error {
			l := turn("s", 1)
			l.Position.Minor = 1

			return b.Drop(ctx, &bus.DeadLetter{Letter: *l})
		},
		"backlog": func(ctx context.Context) error { _, err := b.Backlog(ctx, component); return err },
		"dead letters": func(ctx context.Context) error {
			for _, err := range b.Dead(ctx, component) {
				return err
			}

			return nil
		},
		"read": func(ctx context.Context) error {
			e := &bus.Entry{Frame: *frame(id, 0, "x"), Position: bus.Position{Minor: 9}, Links: bus.Links{Text: "1:5"}}
			for _, err := range b.Read(ctx, e, bus.Cursor{}) {
				return err
			}

			return nil
		},
	}
}

// outage opens a bus and kills its server.
func outage(t *testing.T) *Bus {
	t.Helper()

	s := runServer(t, "")
	b := open(t, Config{URL: s.url, AppendTimeout: time.Second})
	s.kill()

	return b
}

// TestCallsGiveUp calls with a context that never ends while there is no server.
func TestCallsGiveUp(t *testing.T) {
	t.Parallel()

	b := outage(t)
	b.insist = 500 * time.Millisecond

	for name, call := range callsOf(b) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if err := call(context.WithoutCancel(t.Context())); !errors.Is(err, bus.ErrUnknown) {
				t.Errorf("got %v, want %v", err, bus.ErrUnknown)
			}
		})
	}
}

// TestCallsEndWithTheBus closes the bus while calls try again.
func TestCallsEndWithTheBus(t *testing.T) {
	t.Parallel()

	b := outage(t)
	b.insist = time.Hour
	all := callsOf(b)
	ended := make(chan error, len(all))

	for _, call := range all {
		go func() { ended <- call(context.WithoutCancel(t.Context())) }()
	}

	for b.Connection().Up {
		if err := b.pause(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}

	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}

	for range all {
		if err := <-ended; !errors.Is(err, bus.ErrClosed) {
			t.Errorf("got %v, want %v", err, bus.ErrClosed)
		}
	}
}

// TestLostClaimInsistsOnNothing lets a claim go while its holder removes a letter with a context that never ends.
func TestLostClaimInsistsOnNothing(t *testing.T) {
	t.Parallel()

	s := runServer(t, "")
	b := open(t, Config{URL: s.url, AppendTimeout: time.Second})
	outcome := make(chan error, 1)

	work(t, b, bus.WorkConfig{Lease: time.Second}, func(ctx context.Context, c bus.Claim) {
		l, err := c.Next(ctx)
		if err != nil {
			return
		}

		s.kill()

		outcome <- c.Done(context.WithoutCancel(ctx), l)
	})
	post(t, b, "s", 0, 1)

	if err := <-outcome; !errors.Is(err, bus.ErrLost) {
		t.Errorf("letter done: %v, want %v", err, bus.ErrLost)
	}
}
