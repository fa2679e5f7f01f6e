package affinity_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/affinity"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/subjects"
)

// silent is the endpoint of an instance that is there, hears, and says nothing until heard is closed.
func silent(t *testing.T, b bus.Bus, name string) (asked <-chan *bus.Message) {
	t.Helper()

	heard := make(chan *bus.Message, 1)
	at := bus.Endpoint{Component: subjects.HandOver, Instance: subjects.Derive(component, name)}

	stop, err := b.Serve(t.Context(), at, func(ctx context.Context, m *bus.Message, _ func(*bus.Message) error) error {
		heard <- m
		<-ctx.Done()

		return context.Cause(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(stop)

	return heard
}

// An instance that is paused holds a turn up once, for no longer than the patience that there is, and what it asks for
// later is refused.
func TestSessionOfASilentInstance(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		user, living, paused := broker.Open(), broker.Open(), broker.Open()

		key, err := subjects.ServedKey("s", component)
		if err != nil {
			t.Fatal(err)
		}

		if _, err := user.Set(t.Context(), bus.Sessions, key, []byte("paused"), 0, time.Hour); err != nil {
			t.Fatal(err)
		}

		asked := silent(t, paused, "paused")

		ctx, stop := context.WithCancel(t.Context())
		over, served := make(chan error, 1), make(chan time.Time)

		go func() {
			over <- affinity.New(living, affinity.Config{Instance: "living"}).Work(ctx, component, bus.WorkConfig{},
				func(ctx context.Context, c bus.Claim) {
					served <- time.Now()

					if l, err := c.Next(ctx); err != nil || c.Done(ctx, l) != nil {
						t.Errorf("the turn is not done: %v", err)
					}
				})
		}()

		for n, want := range []time.Duration{100 * time.Millisecond, 0} {
			begun := time.Now()

			post(t, user, "s", []string{"one", "two"}[n])

			if took := (<-served).Sub(begun); took != want {
				t.Errorf("turn %d was begun after %v, want %v", n, took, want)
			}

			synctest.Wait()
		}

		// The paused one wakes up and asks for what it was offered.
		late := &bus.Message{Header: map[string]string{"Offer": (<-asked).Header["Offer"]}}
		at := bus.Endpoint{Component: subjects.HandOver, Instance: subjects.Derive(component, "living")}

		for m, err := range paused.Call(t.Context(), at, late) {
			if remote, ok := errors.AsType[*bus.RemoteError](err); !ok || remote.Code != "withdrawn" {
				t.Errorf("asked late for a mailbox, it got %v, %v", m, err)
			}
		}

		stop()

		if err := <-over; err != nil {
			t.Errorf("work: %v", err)
		}
	})
}

// What is known of who served a session is renewed while it is used, ends with it, and moves when it must.
func TestNotesExpire(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		user, b := broker.Open(), broker.Open()
		ctx, stop := context.WithCancel(t.Context())
		over, done := make(chan error, 1), make(chan struct{})

		go func() {
			over <- affinity.New(b, affinity.Config{Instance: "one", TTL: time.Minute}).Work(ctx, component, bus.WorkConfig{},
				func(ctx context.Context, c bus.Claim) {
					for l, err := c.Next(ctx); l != nil && err == nil; l, err = c.Next(ctx) {
						_ = c.Done(ctx, l)
					}

					done <- struct{}{}
				})
		}()

		note := func() uint64 {
			t.Helper()

			key, err := subjects.ServedKey("s", component)
			if err != nil {
				t.Fatal(err)
			}

			e, err := user.Get(t.Context(), bus.Sessions, key)
			if err != nil && !errors.Is(err, bus.ErrNotFound) {
				t.Fatal(err)
			}

			return e.Revision
		}

		turn := func(id string) uint64 {
			post(t, user, "s", id)
			<-done

			return note()
		}

		first := turn("one")
		if first == 0 {
			t.Fatal("nobody noted who served the session")
		}

		<-time.After(5 * time.Second)

		if again := turn("two"); again != first {
			t.Error("the note was written again after 5 s of a minute")
		}

		<-time.After(5 * time.Second)

		if again := turn("three"); again != first {
			t.Error("renewing the note changed it: another instance can't take the session over meanwhile")
		}

		<-time.After(55 * time.Second)

		if left := note(); left != first {
			t.Error("the note was not renewed after 10 s of a minute")
		}

		<-time.After(5 * time.Second)

		if left := note(); left != 0 {
			t.Error("the note outlives its time")
		}

		stop()

		if err := <-over; err != nil {
			t.Errorf("work: %v", err)
		}
	})
}
