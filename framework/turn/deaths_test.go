package turn_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/turn"
)

// kill runs an instance until it executes a turn and has sent the text, and takes the process away from it.
func kill(t *testing.T, broker *membus.Broker, cfg turn.Config, text string) {
	t.Helper()

	began := make(chan struct{})
	dying := start(t, broker, cfg, func(ctx context.Context, a *turn.Attempt) error {
		if text != "" {
			if err := errors.Join(a.Output.Send(ctx, []byte(text)), a.Output.Flush(ctx)); err != nil {
				t.Errorf("send: %v", err)
			}
		}

		close(began)
		<-ctx.Done()

		return ctx.Err()
	})

	<-began

	_ = dying.bus.Close(t.Context()) // membus always succeeds
}

// A turn is not to blame for the instances that died, unless there were very many.
func TestDeathsAreNoFailures(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		cfg    turn.Config
		deaths int
	}{
		"by default":        {turn.Config{}, 19},
		"one failure left":  {turn.Config{MaxAttempts: 1, MaxDeaths: 4}, 3},
		"without any limit": {turn.Config{MaxAttempts: 1, MaxDeaths: -1}, 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{})
				u := newUser(t, broker)
				u.post("t1", "hello")

				for range c.deaths {
					kill(t, broker, c.cfg, "half of ")
				}

				start(t, broker, c.cfg, echo)
				u.wantAnswer("t1", "hello")

				if dead := u.dead(); len(dead) > 0 {
					t.Errorf("set aside: %s", dead[0].Reason)
				}
			})
		})
	}
}

// A handler that takes its process down each time never returns an error. The first execution is known by what it has
// stored; without that, one more is needed to see that it happens each time.
func TestATurnThatKillsItsProcessIsSetAside(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		limit, deaths int
		text          string
	}{
		"the first time":                   {limit: 1, deaths: 1, text: "half"},
		"each time":                        {limit: 3, deaths: 3, text: "half"},
		"each time before it sends a word": {limit: 3, deaths: 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{})
				cfg := turn.Config{MaxDeaths: c.limit}
				u := newUser(t, broker)
				u.post("t1", "hello")
				u.post("t2", "after it")

				for n := range c.deaths {
					kill(t, broker, cfg, c.text)

					if dead := u.dead(); len(dead) > 0 {
						t.Fatalf("set aside after %d crashes", n)
					}
				}

				start(t, broker, cfg, func(ctx context.Context, a *turn.Attempt) error {
					if a.Record.ID == "t1" {
						t.Error("the turn was executed once more")
					}

					return echo(ctx, a)
				})
				u.wantFailed("t1", "the instance died")
				u.wantAnswer("t2", "after it")

				d := u.oneDead("t1")
				if len(d.Attempts) != c.limit || !strings.Contains(d.Attempts[c.limit-1].Reason, "died") {
					t.Errorf("attempts %+v", d.Attempts)
				}

				if c.limit > 1 && !strings.HasPrefix(d.Reason, "died 3 times; last: ") {
					t.Errorf("reason %q", d.Reason)
				}
			})
		})
	}
}

// Neither limit counts what is the other's.
func TestFailuresAndDeathsAreCountedApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		cfg := turn.Config{MaxAttempts: 2, MaxDeaths: 3}
		u := newUser(t, broker)
		u.post("t1", "hello")
		kill(t, broker, cfg, "half")
		kill(t, broker, cfg, "")

		runs := 0
		start(t, broker, cfg, poisoned(&runs, errPoison))
		u.wantFailed("t1", "poison")

		d := u.oneDead("t1")
		if want := "failed 2 times and died 2 times; last: handle turn: poison"; d.Reason != want || runs != 2 {
			t.Errorf("reason %q after %d runs, want %q after 2", d.Reason, runs, want)
		}

		if len(d.Attempts) != 4 {
			t.Errorf("attempts %+v", d.Attempts)
		}
	})
}

// Under policy Fail nothing that readers have seen is taken back: the turn is set aside, and can be replayed.
func TestPolicyFailSetsAsideWhatReadersHaveSeen(t *testing.T) {
	t.Parallel()

	cfg := turn.Config{Policy: stream.Fail}

	for name, c := range map[string]struct {
		first  func(t *testing.T, broker *membus.Broker) // what becomes of the first instance
		reason string
	}{
		"it died": {func(t *testing.T, broker *membus.Broker) {
			t.Helper()
			kill(t, broker, cfg, "half")
		}, "the instance died"},
		"its handler failed": {func(t *testing.T, broker *membus.Broker) {
			t.Helper()
			failing := start(t, broker, cfg, func(ctx context.Context, a *turn.Attempt) error {
				return errors.Join(a.Output.Send(ctx, []byte("half")), errPoison)
			})
			synctest.Wait()
			failing.stop()
		}, "poison"},
		"it handed the turn over": {func(t *testing.T, broker *membus.Broker) {
			t.Helper()

			began := make(chan struct{})
			leaving := start(t, broker, turn.Config{Policy: stream.Fail, Drain: -1}, func(ctx context.Context, a *turn.Attempt) error {
				err := errors.Join(a.Output.Send(ctx, []byte("half")), a.Output.Flush(ctx))
				close(began)
				<-ctx.Done()

				return errors.Join(err, ctx.Err())
			})
			<-began
			leaving.stop()
		}, "lost the turn"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broker := membus.NewBroker(membus.Config{})
				u := newUser(t, broker)
				u.post("t1", "hello")
				c.first(t, broker)
				start(t, broker, cfg, echo)

				text, end := u.answer("t1")
				if text != "half" || end == nil || !strings.Contains(end.End.Reason, c.reason) {
					t.Errorf("answer %q, %v", text, end)
				}

				d := u.oneDead("t1")
				if !strings.Contains(d.Reason, c.reason) || string(d.Input) != "hello" {
					t.Errorf("dead letter with reason %q, input %q", d.Reason, d.Input)
				}

				u.wantAnswer(u.replay(d).ID, "hello")
			})
		})
	}
}

// What readers have not seen can be executed again under every policy.
func TestPolicyFailRepeatsWhatNobodyHasSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		cfg := turn.Config{Policy: stream.Fail}
		u := newUser(t, broker)
		u.post("t1", "hello")
		kill(t, broker, cfg, "")

		runs := 0
		start(t, broker, cfg, func(ctx context.Context, a *turn.Attempt) error {
			runs++
			if runs == 1 {
				return errPoison
			}

			return echo(ctx, a)
		})
		u.wantAnswer("t1", "hello")

		if dead := u.dead(); len(dead) > 0 {
			t.Errorf("set aside: %s", dead[0].Reason)
		}
	})
}

// A turn that is not executed again reads no more of its input, whose writer must not wait for it.
func TestADeadTurnLetsGoOfItsInput(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		cfg := turn.Config{MaxDeaths: 1}
		u := newUser(t, broker)

		w, err := u.store.OpenWriter(t.Context(), stream.WriterConfig{
			Session: sessionID, Info: stream.Info{Stream: "t1"}, Readers: []string{component},
		})
		if err != nil {
			t.Fatal(err)
		}

		sent := make(chan error, 1)
		patience, cancel := context.WithTimeout(t.Context(), time.Hour)

		defer cancel()

		go func() {
			defer w.Abandon()

			for range 5000 {
				if err := w.Send(patience, []byte("x")); err != nil {
					sent <- err

					return
				}
			}

			sent <- w.Close(patience)
		}()

		synctest.Wait()
		u.letter("t1")
		kill(t, broker, cfg, "half")
		start(t, broker, cfg, echo)
		u.wantFailed("t1", "died")

		if err := <-sent; err != nil {
			t.Errorf("write the input: %v", err)
		}
	})
}
