package turn_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/turn"
	"github.com/woodwork-go/woodwork/subjects"
)

// zombieBus is the connection of an instance that stands still when it is about to set a turn aside, after it has made
// sure that it holds the turn.
type zombieBus struct {
	*membus.Bus

	stands, goesOn chan struct{}
	once           sync.Once
}

// Work implements [bus.Mailbox].
func (b *zombieBus) Work(
	ctx context.Context, component string, cfg bus.WorkConfig, serve func(context.Context, bus.Claim),
) error {
	return b.Bus.Work(ctx, component, cfg, func(ctx context.Context, c bus.Claim) {
		serve(context.WithoutCancel(ctx), &zombieClaim{Claim: c})
	})
}

// zombieClaim believes that it is held.
type zombieClaim struct {
	bus.Claim

	letter *bus.Letter
}

// Next implements [bus.Claim].
func (c *zombieClaim) Next(ctx context.Context) (*bus.Letter, error) {
	var err error
	if c.letter == nil {
		c.letter, err = c.Claim.Next(ctx)
	}

	return c.letter, err
}

// Append implements [bus.Log].
func (b *zombieBus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	if f.ID.Stream == subjects.FailureLog {
		b.once.Do(func() { close(b.stands); <-b.goesOn })
	}

	return b.Bus.Append(ctx, f, after)
}

// An instance that was declared dead without knowing it sets aside a turn that another one has completed. It takes that
// back when it finds out.
func TestAZombieBuriesNoTurnThatAnotherInstanceCompleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		u := newUser(t, broker)
		u.post("t1", "x")

		zombie := &zombieBus{Bus: broker.Open(), stands: make(chan struct{}), goesOn: make(chan struct{})}
		work(t, zombie, turn.Config{}, func(context.Context, *turn.Attempt) error { return turn.Terminate(errPoison) })
		<-zombie.stands
		zombie.Lapse()
		start(t, broker, turn.Config{}, echo)
		u.wantAnswer("t1", "x")
		close(zombie.goesOn)
		<-time.After(time.Minute)

		if dead := u.dead(); len(dead) > 0 {
			t.Errorf("set aside: %s", dead[0].Reason)
		}
	})
}

// twiceBus stores the first event of a log of failures, does not tell, and lets another writer be faster with the next.
type twiceBus struct {
	*membus.Bus

	other func()
	once  sync.Once
}

// Append implements [bus.Log].
func (b *twiceBus) Append(ctx context.Context, f *bus.Frame, after *bus.Entry) (*bus.Entry, error) {
	e, err := b.Bus.Append(ctx, f, after)

	if f.ID.Stream == subjects.FailureLog {
		b.once.Do(func() {
			b.other()

			e, err = nil, bus.ErrUnknown
		})
	}

	return e, err
}

// An event whose outcome was unknown when another one came is stored once, and counts once.
func TestAnEventOfUnknownOutcomeCountsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		u := newUser(t, broker)
		u.post("t1", "x")
		kill(t, broker, turn.Config{}, "half")

		failures := bus.StreamID{Session: sessionID, Stream: subjects.FailureLog}
		twice := &twiceBus{Bus: broker.Open(), other: func() {
			if _, err := u.store.Share(t.Context(), failures, []byte(`{}`)); err != nil {
				t.Error(err)
			}
		}}
		began := make(chan struct{})
		work(t, twice, turn.Config{}, func(ctx context.Context, _ *turn.Attempt) error {
			close(began)
			<-ctx.Done()

			return ctx.Err()
		})
		<-began

		_ = twice.Close(t.Context()) // membus always succeeds

		events, err := u.store.Shared(t.Context(), failures)
		if err != nil || len(events) != 2 {
			t.Fatalf("%d events, %v; want 2", len(events), err)
		}

		start(t, broker, turn.Config{MaxDeaths: 3}, echo)
		u.wantAnswer("t1", "x")
	})
}

// stuckBus can't post: the log of mailboxes has no leader.
type stuckBus struct{ *membus.Bus }

// Post implements [bus.Mailbox].
func (*stuckBus) Post(ctx context.Context, _ *bus.Letter) error {
	<-ctx.Done()

	return context.Cause(ctx)
}

// An attempt whose posts don't come to an end lets go when its claim is lost, and when the drain is over.
func TestAnAttemptWaitsForItsPostsNoLongerThanItHoldsTheTurn(t *testing.T) {
	t.Parallel()

	for name, end := range map[string]func(b *membus.Bus, stop func()){
		"the claim is lost": func(b *membus.Bus, _ func()) { b.Lapse() },
		"it is to stop":     func(_ *membus.Bus, stop func()) { stop() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{})
				u := newUser(t, broker)
				u.post("t1", "x")

				b := &stuckBus{broker.Open()}
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan struct{})

				go func() {
					defer close(ended)
					runWorker(ctx, t, b, turn.Config{To: []string{"next"}, Drain: time.Second}, echo)
				}()

				<-time.After(time.Second)

				begin := time.Now()
				end(b.Bus, stop)

				cfg := turn.Config{To: []string{"next"}}
				start(t, broker, cfg, echo)

				out := subjects.Derive("t1", component, "t1", "next")
				if text, end := u.read(out); text != "x" || end != nil {
					t.Errorf("the next instance answered %q, %v", text, end)
				}

				stop()
				<-ended

				if took := time.Since(begin); took > 10*time.Second {
					t.Errorf("it let go after %v", took)
				}
			})
		})
	}
}
