package framework_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/call"
	"github.com/woodwork-go/woodwork/framework/registry"
)

// say overrides breakers as an operator does.
func say(t *testing.T, c *framework.Client, o registry.Override) {
	t.Helper()

	r, err := c.Registry(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if err := r.Override(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// holder is a service with breakers of its own for the targets.
func holder(name string, targets ...string) framework.Service {
	set := breaker.NewSet(breaker.Config{})
	for _, target := range targets {
		set.For(target)
	}

	return framework.Service{
		Name: name, Breakers: func() *breaker.Set { return set },
		Run: func(ctx context.Context, _ *framework.Client) error { <-ctx.Done(); return nil },
	}
}

// shows returns whether an event is about an instance that takes work and says so of a breaker.
func shows(target, condition string) func(registry.Event) bool {
	return func(e registry.Event) bool {
		return e.Instance.State == registry.Ready && slices.ContainsFunc(e.Instance.Breakers, func(s breaker.Status) bool {
			return s.Name == target && s.Condition() == condition
		})
	}
}

// TestInstancesObeyOperators, those that are there and those that start later, and say so at once.
func TestInstancesObeyOperators(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() framework.Config) {
		settings := func() framework.Config {
			cfg := open()
			cfg.RegistryTTL = time.Hour // no heartbeat in between tells of a change

			return cfg
		}
		operator := connect(t, open())
		ones, twos := changes(t, operator), changes(t, operator)
		stop := serve(t, holder("one", "openai/gpt-4o", "db"), settings())
		event(t, ones, "one", shows("openai/gpt-4o", "closed"))

		say(t, operator, registry.Override{Target: "openai/gpt-4o", Mode: breaker.ForceOpen, Reason: "moving"})

		i := event(t, ones, "one", shows("openai/gpt-4o", "open (forced: moving)")).Instance
		if !shows("db", "closed")(registry.Event{Instance: i}) {
			t.Errorf("another breaker was forced: %+v", i.Breakers)
		}

		serve(t, holder("two", "openai/gpt-4o"), settings())
		event(t, twos, "two", func(e registry.Event) bool { // before it takes any work
			if e.Instance.State == registry.Ready && !shows("openai/gpt-4o", "open (forced: moving)")(e) {
				t.Errorf("it began with %+v", e.Instance.Breakers)
			}

			return e.Instance.State == registry.Ready
		})

		say(t, operator, registry.Override{Target: "openai/gpt-4o", Component: "two", Mode: breaker.ForceClosed})
		event(t, twos, "two", shows("openai/gpt-4o", "closed (forced)"))
		say(t, operator, registry.Override{Target: "openai/gpt-4o", Mode: breaker.Auto})
		event(t, ones, "one", shows("openai/gpt-4o", "closed"))
		event(t, twos, "two", shows("openai/gpt-4o", "closed"))

		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestCallsObeyOperators from the first one on: what was said before the client knew of anybody holds as well.
func TestCallsObeyOperators(t *testing.T) {
	t.Parallel()
	onEachBus(t, func(t *testing.T, open func() framework.Config) {
		var served atomic.Int32

		running(t, framework.Service{Name: "tool", Calls: map[string]call.Handler{
			"fail": func(context.Context, *call.Incoming) error { served.Add(1); return errors.New("no paper") },
		}}, open())

		operator := connect(t, open())
		event(t, changes(t, operator), "tool", inState(registry.Ready))
		say(t, operator, registry.Override{Target: "tool", Mode: breaker.ForceOpen, Reason: "moving"})
		say(t, operator, registry.Override{Target: "tool", Component: "agent", Mode: breaker.ForceClosed})

		client := connect(t, open())
		request := call.Request{Operation: "fail"}

		_, err := client.Call(t.Context(), "tool", request)
		if open, ok := errors.AsType[*breaker.OpenError](err); !ok || !open.Forced || open.Reason != "moving" || served.Load() != 0 {
			t.Errorf("the first call ended with %v, %d were served", err, served.Load())
		}

		request.Fallback = func(context.Context, error) ([]byte, error) { return []byte("instead"), nil }

		if body, err := client.Call(t.Context(), "tool", request); string(body) != "instead" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}

		request.Fallback = nil
		await := func(condition string) {
			t.Helper()

			for client.Breakers().For("tool").Status().Condition() != condition {
				if t.Context().Err() != nil {
					t.Fatalf("the breaker never was %s", condition)
				}
			}
		}

		say(t, operator, registry.Override{Target: "tool", Mode: breaker.Auto})
		await("closed")

		for range 5 {
			_, _ = client.Call(t.Context(), "tool", request)
		}

		await("open")
		say(t, operator, registry.Override{Target: "tool", Mode: breaker.ForceClosed})
		say(t, operator, registry.Override{Target: "tool/" + instanceOf(t, operator), Mode: breaker.ForceClosed})
		await("closed (forced)")

		for range 20 { // however often it fails
			for {
				if _, err := client.Call(t.Context(), "tool", request); !errors.Is(err, breaker.ErrOpen) {
					break // until the second word was heard
				}
			}
		}

		if n := served.Load(); n != 25 {
			t.Errorf("%d calls were served, want 25", n)
		}

		say(t, operator, registry.Override{Target: "tool", Mode: breaker.Auto})
		await("open")
	})
}

// instanceOf is the id of the only instance of the component tool.
func instanceOf(t *testing.T, c *framework.Client) string {
	t.Helper()

	r, err := c.Registry(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	return r.Find(registry.Query{Component: "tool"})[0].ID
}

// TestAnOperatorsWordEnds when its time is over, and the log says each change once.
func TestAnOperatorsWordEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer

		broker := membus.NewBroker(membus.Config{})
		own, other := broker.Open(), broker.Open()
		service := holder("one", "db")
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)

		go func() {
			ended <- framework.Run(ctx, service, framework.Config{Bus: own, Logger: zerolog.New(zerolog.SyncWriter(&log))})
		}()

		operator, err := framework.Connect(t.Context(), framework.Config{Bus: other})
		if err != nil {
			t.Fatal(err)
		}

		condition := func() string { return service.Breakers().For("db").Status().Condition() }

		say(t, operator, registry.Override{Target: "db", Mode: breaker.ForceOpen, Reason: "moving", TTL: 600})
		synctest.Wait()
		say(t, operator, registry.Override{Target: "disk", Mode: breaker.ForceClosed})

		<-time.After(10*time.Minute - time.Nanosecond) // of the bubble

		if got := condition(); got != "open (forced: moving)" {
			t.Errorf("before the end it is %s", got)
		}

		<-time.After(time.Second) // of the bubble
		synctest.Wait()

		if got := condition(); got != "closed" {
			t.Errorf("after the end it is %s", got)
		}

		stop()

		if err := errors.Join(<-ended, operator.Close(t.Context()), own.Close(t.Context()), other.Close(t.Context())); err != nil {
			t.Error(err)
		}

		var said []string
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "operator") {
				said = append(said, line)
			}
		}

		for n, want := range []string{
			`"component":"one","target":"db","mode":"open","reason":"moving"`, `"target":"disk","mode":"closed"`,
			`"target":"db","mode":"auto"`,
		} {
			if len(said) != 3 || !strings.Contains(said[n], want) {
				t.Fatalf("the log says %q", said)
			}
		}
	})
}

// deaf is a bus whose keys can't be watched for now.
type deaf struct {
	bus.Bus

	hears *atomic.Bool
}

func (d deaf) Watch(ctx context.Context, b bus.Bucket, prefix string) iter.Seq2[bus.KVEvent, error] {
	if d.hears.Load() {
		return d.Bus.Watch(ctx, b, prefix)
	}

	return func(yield func(bus.KVEvent, error) bool) { yield(bus.KVEvent{}, bus.ErrUnknown) }
}

// TestAnInstanceWorksWithoutARegistry after a while, and obeys when it is back.
func TestAnInstanceWorksWithoutARegistry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := membus.NewBroker(membus.Config{})
		own, other := deaf{broker.Open(), new(atomic.Bool)}, broker.Open()
		service := holder("one", "db")
		ran := make(chan struct{})
		wait := service.Run
		service.Run = func(ctx context.Context, c *framework.Client) error { close(ran); return wait(ctx, c) }

		operator, err := framework.Connect(t.Context(), framework.Config{Bus: other})
		if err != nil {
			t.Fatal(err)
		}

		say(t, operator, registry.Override{Target: "db", Mode: breaker.ForceOpen})

		ctx, stop := context.WithCancel(t.Context())
		ended, begun := make(chan error, 1), time.Now()

		go func() { ended <- framework.Run(ctx, service, framework.Config{Bus: own}) }()

		<-ran

		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("it began after %v", took)
		}

		own.hears.Store(true)
		<-time.After(time.Minute) // of the bubble
		synctest.Wait()

		if got := service.Breakers().For("db").Status().Condition(); got != "open (forced)" {
			t.Errorf("with the registry back it is %s", got)
		}

		stop()

		if err := errors.Join(<-ended, operator.Close(t.Context()), own.Close(t.Context()), other.Close(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

// TestManyBreakersDoNotFillTheRegistry, and those that are open are told first.
func TestManyBreakersDoNotFillTheRegistry(t *testing.T) {
	t.Parallel()

	broker := membus.NewBroker(membus.Config{})
	service := holder("one")
	for n := range 500 {
		service.Breakers().For("tool/" + string(rune('a'+n%26)) + strings.Repeat("x", n/26))
	}

	service.Breakers().For("zebra").Force(breaker.ForceOpen, "")

	events := changes(t, connect(t, framework.Config{Bus: broker.Open()}))
	serve(t, service, framework.Config{Bus: broker.Open()})

	i := event(t, events, "one", inState(registry.Ready)).Instance
	if len(i.Breakers) != 100 || !shows("zebra", "open (forced)")(registry.Event{Instance: i}) {
		t.Errorf("it tells of %d, of them first %+v", len(i.Breakers), i.Breakers[0])
	}
}
