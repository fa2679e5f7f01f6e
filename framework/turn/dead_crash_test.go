package turn_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/turn"
	"github.com/woodwork-go/woodwork/subjects"
)

// crashBus is the connection of a process that dies at one step of setting a turn aside.
type crashBus struct {
	*membus.Bus

	at    string
	after bool // the step has its effect
	armed func() bool
	died  chan struct{}
	die   func()
}

func newCrashBus(t *testing.T, broker *membus.Broker, at string, after bool, armed func() bool) *crashBus {
	t.Helper()

	b := &crashBus{Bus: broker.Open(), at: at, after: after, armed: armed, died: make(chan struct{})}
	b.die = sync.OnceFunc(func() {
		_ = b.Close(context.WithoutCancel(t.Context()))

		close(b.died)
	})

	return b
}

func step[T any](b *crashBus, name string, do func() (T, error)) (T, error) {
	here := b.at == name && b.armed()
	if here && !b.after {
		b.die()
	}

	v, err := do()

	if here {
		b.die()
	}

	return v, err
}

// Append implements [bus.Log].
func (b *crashBus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	name := ""

	switch {
	case f.ID.Stream == subjects.FailureLog:
		name = "note"
	case f.State == bus.Failed:
		name = "end"
	}

	return step(b, name, func() (*bus.Entry, error) { return b.Bus.Append(ctx, f, after) })
}

// Bury implements [bus.DeadLetters].
func (b *crashBus) Bury(ctx context.Context, d *bus.DeadLetter) error {
	_, err := step(b, "bury", func() (struct{}, error) { return struct{}{}, b.Bus.Bury(ctx, d) })

	return err
}

// Work implements [bus.Mailbox].
func (b *crashBus) Work(
	ctx context.Context, component string, cfg bus.WorkConfig, serve func(context.Context, bus.Claim),
) error {
	return b.Bus.Work(ctx, component, cfg, func(ctx context.Context, c bus.Claim) { serve(ctx, crashClaim{c, b}) })
}

type crashClaim struct {
	bus.Claim

	bus *crashBus
}

// Done implements [bus.Claim].
func (c crashClaim) Done(ctx context.Context, l *bus.Letter) error {
	_, err := step(c.bus, "done", func() (struct{}, error) { return struct{}{}, c.Claim.Done(ctx, l) })

	return err
}

// A process may die before or after each step of setting a turn aside. Whoever takes the turn over finishes what was
// begun: the letter is set aside once, the handler is not called once more, and the session goes on.
func TestEveryCrashWhileATurnIsSetAside(t *testing.T) {
	t.Parallel()

	for _, at := range []string{"note", "bury", "end", "done"} {
		for _, after := range []bool{false, true} {
			for name, attempts := range map[string]int{"last attempt": 3, "terminated": 1} {
				t.Run(at+map[bool]string{false: " not done", true: " done"}[after]+", "+name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						crashWhileBurying(t, at, after, attempts)
					})
				})
			}
		}
	}
}

func crashWhileBurying(t *testing.T, at string, after bool, want int) {
	t.Helper()

	poison := errPoison
	if want == 1 {
		poison = turn.Terminate(errPoison)
	}

	broker := membus.NewBroker(membus.Config{})
	cfg := turn.Config{Component: component, MaxAttempts: 3}

	runs := 0
	first := newCrashBus(t, broker, at, after, func() bool { return runs == want })
	store := stream.NewStore(first, first.Info(), stream.Config{})
	ended := make(chan error, 1)

	go func() { ended <- turn.NewWorker(first, store, cfg).Run(t.Context(), poisoned(&runs, poison)) }()

	u := newUser(t, broker)
	u.post("t1", "hello")
	u.post("t2", "after it")
	<-first.died
	<-ended
	store.Close()

	start(t, broker, cfg, poisoned(&runs, poison))
	u.wantFailed("t1", "")
	u.wantAnswer("t2", "after it")

	tried := want

	// What died before it could say that this was the end of the turn is known to have died only, and not even that where
	// it was the first execution, which had stored nothing.
	if again := at == "note" && !after; again {
		want++

		if tried > 1 {
			tried++
		}
	}

	if runs != want {
		t.Errorf("the handler ran %d times, want %d", runs, want)
	}

	if d := u.oneDead("t1"); string(d.Input) != "hello" || len(d.Attempts) != tried {
		t.Errorf("dead letter with input %q and attempts %+v", d.Input, d.Attempts)
	}
}
