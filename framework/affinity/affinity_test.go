package affinity_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/affinity"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/bus/redisbus"
	"github.com/woodwork-go/woodwork/internal/redistest"
	"github.com/woodwork-go/woodwork/subjects"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	component = "llm"
	// patience is how long a test waits for what has to come, on a machine that is busy with others.
	patience = time.Minute
)

// opener connects one more process to a broker of the test's own.
type opener func() (bus.Bus, error)

// onEveryBus runs a test on each kind of bus.
func onEveryBus(t *testing.T, test func(t *testing.T, open opener)) {
	t.Helper()

	memory := membus.NewBroker(membus.Config{})
	server := embeddedtest.RunInProcess(t)
	redis := redistest.Run(t, redistest.Options{Fsync: redistest.EverySecond}).URL()

	for name, open := range map[string]opener{
		"memory":    func() (bus.Bus, error) { return memory.Open(), nil },
		"jetstream": func() (bus.Bus, error) { return natsbus.Open(t.Context(), natsbus.Config{InProcess: server}) },
		"redis":     func() (bus.Bus, error) { return redisbus.Open(t.Context(), redisbus.Config{URL: redis}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

func mustOpen(t *testing.T, open opener) bus.Bus {
	t.Helper()

	b, err := open()
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("close: %v", err)
		}
	})

	return b
}

// work is a letter that an instance has, until hold is closed.
type work struct {
	instance string
	letter   *bus.Letter
	hold     chan struct{}
}

// instance works on the component until stop is called.
type instance struct {
	name string
	bus  bus.Bus
	stop func()
}

// start starts an instance that sends what it works on to works, and goes on with it when the receiver lets go. It sees a
// broken claim as the end of its work on a letter.
func start(t *testing.T, name string, open opener, cfg bus.WorkConfig, works chan<- work) instance {
	t.Helper()

	b := mustOpen(t, open)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})

	serve := func(ctx context.Context, c bus.Claim) {
		for {
			l, err := c.Next(ctx)
			if err != nil || l == nil {
				return
			}

			w := work{instance: name, letter: l, hold: make(chan struct{})}
			select {
			case works <- w:
			case <-ctx.Done():
				return
			}

			select {
			case <-w.hold:
			case <-ctx.Done():
				return
			}

			if err := c.Done(ctx, l); err != nil {
				return
			}
		}
	}

	go func() {
		defer close(over)

		err := affinity.New(b, affinity.Config{Instance: name, Patience: patience}).Work(ctx, component, cfg, serve)
		if err != nil && !errors.Is(err, bus.ErrClosed) {
			t.Errorf("work of %s: %v", name, err)
		}
	}()

	stop := func() { cancel(); <-over }
	t.Cleanup(stop)

	return instance{name: name, bus: b, stop: stop}
}

// instances starts instances named 0, 1, and so on.
func instances(t *testing.T, n int, open opener, cfg bus.WorkConfig, works chan<- work) map[string]instance {
	t.Helper()

	all := map[string]instance{}

	for i := range n {
		name := fmt.Sprint(i)
		all[name] = start(t, name, open, cfg, works)
	}

	for _, i := range all {
		i.awaitReady(t)
	}

	return all
}

// awaitReady waits until an instance takes mailboxes over: it is offered one by somebody who isn't there.
func (i instance) awaitReady(t *testing.T) {
	t.Helper()

	to := bus.Endpoint{Component: subjects.HandOver, Instance: subjects.Derive(component, i.name)}
	offer := &bus.Message{Header: map[string]string{"Offer": "none", "From": "nobody"}}

	for ctx := t.Context(); ctx.Err() == nil; {
		for _, err := range i.bus.Call(ctx, to, offer) {
			if remote, ok := errors.AsType[*bus.RemoteError](err); ok && remote.Code == bus.CodeInternal {
				return
			}
		}
	}
}

func post(t *testing.T, b bus.Bus, session, id string) {
	t.Helper()

	if err := b.Post(t.Context(), &bus.Letter{ID: id, Component: component, Session: session}); err != nil {
		t.Fatalf("post %s: %v", id, err)
	}
}

// next waits for a letter that some instance works on.
func next(t *testing.T, works <-chan work) work {
	t.Helper()

	select {
	case w := <-works:
		return w
	case <-time.After(patience):
		t.Fatal("nobody works on the letter")

		return work{}
	}
}

// turn posts a letter, and returns which instance did it.
func turn(t *testing.T, b bus.Bus, works <-chan work, session, id string) string {
	t.Helper()
	post(t, b, session, id)

	for {
		w := next(t, works)
		close(w.hold)

		if w.letter.ID == id {
			return w.instance
		}
	}
}

// Ten instances take turns of twenty sessions, all sessions at once: whoever has served a session serves it again, every
// time, also after all of them have started anew.
func TestSessionsStayWhereTheyWere(t *testing.T) {
	t.Parallel()

	onEveryBus(t, func(t *testing.T, open opener) {
		const many, sessions, turns = 10, 20, 8

		works, user := make(chan work), mustOpen(t, open)
		served := map[string]string{} // by session

		round := func(n int) {
			var all []work // at once, so that no instance has all of them

			for s := range sessions {
				post(t, user, fmt.Sprint("s", s), fmt.Sprint("s", s, "-t", n))
			}

			for range sessions {
				w := next(t, works)
				all = append(all, w)

				if by, known := served[w.letter.Session]; known && by != w.instance {
					t.Errorf("turn %s was served by %s, the ones before by %s", w.letter.ID, w.instance, by)
				}

				served[w.letter.Session] = w.instance
			}

			for _, w := range all {
				close(w.hold)
			}
		}

		// At first each takes two at once and no more, so that each has two sessions.
		early := instances(t, many, open, bus.WorkConfig{Concurrency: sessions / many}, works)
		round(0)

		for _, i := range early {
			i.stop()
		}

		instances(t, many, open, bus.WorkConfig{}, works)

		for n := range turns {
			round(n + 1)
		}

		sessionsOf := map[string]int{}
		for _, by := range served {
			sessionsOf[by]++
		}

		if len(sessionsOf) != many {
			t.Errorf("the sessions are spread as %v, want two for each instance", sessionsOf)
		}
	})
}

// An instance that is told to stop before it has begun stops as one that worked.
func TestStoppedBeforeItBegins(t *testing.T) {
	t.Parallel()

	onEveryBus(t, func(t *testing.T, open opener) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()

		b := affinity.New(mustOpen(t, open), affinity.Config{Instance: "0"})
		if err := b.Work(ctx, component, bus.WorkConfig{}, func(context.Context, bus.Claim) {}); err != nil {
			t.Errorf("work: %v", err)
		}
	})
}

// A session whose instance has gone is served by another one, at once and from then on.
func TestSessionOfAnInstanceThatHasGone(t *testing.T) {
	t.Parallel()

	onEveryBus(t, func(t *testing.T, open opener) {
		works, user := make(chan work), mustOpen(t, open)
		all := instances(t, 3, open, bus.WorkConfig{}, works)

		first := turn(t, user, works, "s", "one")
		all[first].stop()

		second := turn(t, user, works, "s", "two")
		if second == first {
			t.Fatalf("%s served after it had stopped", first)
		}

		start(t, first, open, bus.WorkConfig{}, works) // it has forgotten all, so the session stays where it is

		for _, id := range []string{"three", "four", "five"} {
			if got := turn(t, user, works, "s", id); got != second {
				t.Errorf("turn %s was served by %s, want %s", id, got, second)
			}
		}
	})
}

// A session whose instance has no room is not kept waiting.
func TestSessionOfAFullInstance(t *testing.T) {
	t.Parallel()

	onEveryBus(t, func(t *testing.T, open opener) {
		works, user := make(chan work), mustOpen(t, open)
		instances(t, 2, open, bus.WorkConfig{Concurrency: 1}, works)

		first := turn(t, user, works, "s", "one")

		// Another session's turn keeps that instance busy: it must be the one that has it, which chance decides.
		var busy work

		for n := 0; busy.instance != first; n++ {
			post(t, user, fmt.Sprint("other", n), fmt.Sprint("other", n))

			if w := next(t, works); w.instance == first {
				busy = w
			} else {
				close(w.hold)
			}
		}

		if got := turn(t, user, works, "s", "two"); got == first {
			t.Errorf("%s has two turns, of one at a time", first)
		}

		close(busy.hold)
	})
}

// Two instances that each take one at a time are never given two, whatever is handed over while they ask for more.
func TestHandingOverKeepsToTheLimit(t *testing.T) {
	t.Parallel()

	onEveryBus(t, func(t *testing.T, open opener) {
		const sessions, turns = 6, 10

		works, user := make(chan work), mustOpen(t, open)
		instances(t, 3, open, bus.WorkConfig{Concurrency: 1}, works)

		for s := range sessions {
			for n := range turns {
				post(t, user, fmt.Sprint("s", s), fmt.Sprint("s", s, "-t", n))
			}
		}

		var held sync.Map

		seen := map[string]int{} // by session
		done := make(chan string, sessions*turns)

		for range sessions * turns {
			w := next(t, works)

			if other, busy := held.Swap(w.instance, w.letter.ID); busy {
				t.Errorf("%s has %s and %v", w.instance, w.letter.ID, other)
			}

			if want := fmt.Sprint(w.letter.Session, "-t", seen[w.letter.Session]); w.letter.ID != want {
				t.Errorf("got %s, want %s", w.letter.ID, want)
			}

			seen[w.letter.Session]++

			go func() {
				held.Delete(w.instance)
				close(w.hold)

				done <- w.letter.ID
			}()
		}

		for range sessions * turns {
			<-done
		}
	})
}
