package turn_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/turn"
	"github.com/woodwork-go/woodwork/subjects"
)

// A turn whose input has expired while it waited does not keep its session from going on.
func TestATurnWhoseInputHasExpiredFails(t *testing.T) {
	t.Parallel()

	derived := subjects.Derive("t0", "upstream", "t0", component)
	now := turn.Record{ID: "t1", Session: sessionID, Component: component, Root: "t1"}

	for name, c := range map[string]struct {
		record turn.Record
		// busy: the mailbox of the component that writes the input holds a turn.
		busy          bool
		after, before time.Duration
		reason        string
	}{
		"a user's": {record: now, before: 30 * time.Second, reason: "has expired"},
		"another turn's": {
			record: turn.Record{ID: derived, Session: sessionID, Component: component, Root: "t0", From: "upstream"},
			before: 30 * time.Second, reason: "has expired",
		},
		"one that may still come": {
			record: turn.Record{ID: derived, Session: sessionID, Component: component, Root: "t0", From: "upstream"},
			busy:   true, after: 5 * time.Minute, before: 6 * time.Minute, reason: "nothing of the turn's input came",
		},
		"one that the user has not begun": {
			record: turn.Record{ID: "t1", Session: sessionID, Component: component, Root: "t1", Ahead: true},
			after:  5 * time.Minute, before: 6 * time.Minute, reason: "nothing of the turn's input came",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{MaxAge: time.Hour})
				u := newUser(t, broker)
				u.write(c.record.ID, "x")

				posts := []turn.Record{c.record}
				if c.busy {
					posts = append(posts, turn.Record{ID: "t0", Session: sessionID, Component: "upstream", Root: "t0"})
				}

				for _, r := range posts {
					if err := turn.Post(t.Context(), u.bus, r, nil); err != nil {
						t.Fatal(err)
					}
				}

				<-time.After(2 * time.Hour)

				begin := time.Now()
				runs := 0
				start(t, broker, turn.Config{}, func(ctx context.Context, a *turn.Attempt) error {
					runs++

					return echo(ctx, a)
				})

				out := subjects.Derive(c.record.Root, component, c.record.ID, "")
				_, end := u.read(out)

				if end == nil || end.End.State != bus.Failed || !strings.Contains(end.End.Reason, c.reason) {
					t.Errorf("ended with %v, want failed: %s", end, c.reason)
				}

				if took := time.Since(begin); took < c.after || took > c.before || runs != 1 {
					t.Errorf("it took %v and %d executions", took, runs)
				}

				if d := u.oneDead(c.record.ID); !d.Truncated || !strings.Contains(d.Reason, c.reason) {
					t.Errorf("dead letter %+v", d)
				}
			})
		})
	}
}

// lagging is a bus on which the log of one stream is answered from the past for a while, as by a leader that does not know
// that another one was elected.
type lagging struct {
	bus.Bus

	stream string
	past   *bus.Entry
	until  time.Time
}

func (b *lagging) lags(id bus.StreamID) bool {
	return id.Stream == b.stream && time.Now().Before(b.until)
}

// Append implements [bus.Log].
func (b *lagging) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	if b.lags(f.ID) {
		return nil, bus.ErrConflict
	}

	return b.Bus.Append(ctx, f, after)
}

// Last implements [bus.Log].
func (b *lagging) Last(ctx context.Context, id bus.StreamID) (*bus.Entry, error) {
	if b.lags(id) {
		return b.past, nil
	}

	return b.Bus.Last(ctx, id)
}

// work runs a worker on any bus until the test ends.
func work(t *testing.T, b bus.Bus, cfg turn.Config, handle turn.Handler) {
	t.Helper()

	ctx, stop := context.WithCancel(t.Context())

	var running sync.WaitGroup

	running.Go(func() { runWorker(ctx, t, b, cfg, handle) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// runWorker runs a worker on any bus until ctx ends.
func runWorker(ctx context.Context, t *testing.T, b bus.Bus, cfg turn.Config, handle turn.Handler) {
	t.Helper()

	store := stream.NewStore(b, b.Info(), stream.Config{})
	cfg.Component = orComponent(cfg.Component)

	if err := turn.NewWorker(b, store, cfg).Run(ctx, handle); err != nil && !errors.Is(err, bus.ErrClosed) {
		t.Errorf("worker ended: %v", err)
	}

	store.Close()

	_ = b.Close(context.WithoutCancel(ctx)) // membus always succeeds
}

// A log that answers from the past for longer than a writer doubts it costs an attempt, not the turn.
func TestALogThatAnswersFromThePastCostsAnAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		b := &lagging{Bus: broker.Open(), stream: outputID("t1", component)}
		runs := 0
		work(t, b, turn.Config{}, func(ctx context.Context, a *turn.Attempt) error {
			runs++

			for i, word := range []string{"a", "b", "c"} {
				if err := errors.Join(a.Output.Send(ctx, []byte(word)), a.Output.Flush(ctx)); err != nil {
					return err
				}

				switch {
				case runs > 1:
				case i == 0:
					b.past, _ = b.Bus.Last(ctx, a.Output.ID())
				case i == 1:
					b.until = time.Now().Add(8 * time.Second)
				}
			}

			return nil
		})

		u := newUser(t, broker)
		u.post("t1", "x")
		u.wantAnswer("t1", "abc")

		if dead := u.dead(); len(dead) > 0 || runs != 2 {
			t.Errorf("%d executions, set aside: %v", runs, dead)
		}
	})
}
