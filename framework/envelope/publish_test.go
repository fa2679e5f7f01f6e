package envelope_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/envelope"
)

func TestPublish(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		one, two := b.messages(t, envelope.Config{}), b.messages(t, envelope.Config{})
		_, all := subscribe(t, two, envelope.Filter{})
		_, session := subscribe(t, two, envelope.Filter{Session: "s1"})
		_, words := subscribe(t, one, envelope.Filter{Pattern: "component.*"})
		_, target := subscribe(t, one, envelope.Filter{Component: "llm"})

		for _, m := range []envelope.Message{
			{Session: "s1", EventType: "component.started", Target: "llm"},
			{Session: "s2", EventType: "component.tool.called"},
			{EventType: "app.started", Target: "input"},
			{Session: "s1", EventType: "last", Target: "llm"},
		} {
			got := publish(t, one, m)
			if got.ID == "" || got.CreatedAt.IsZero() || got.TTL != envelope.DefaultTTL {
				t.Errorf("published %+v", got)
			}
		}

		wantNext(t, all, "component.started", "component.tool.called", "app.started", "last")
		wantNext(t, session, "component.started", "last")
		wantNext(t, words, "component.started", "component.tool.called")
		wantNext(t, target, "component.started", "last")

		if s := one.Stats(); s.Published != 4 || s.ActiveSubscriptions != 2 || s.SuccessRate != 1 {
			t.Errorf("stats are %+v", s)
		}

		if h := one.Health(t.Context()); !h.Healthy || h.Kind == "" {
			t.Errorf("health is %+v", h)
		}
	})
}

// TestNamedSubscriberGoesOn publishes while nobody of the name is there.
func TestNamedSubscriberGoesOn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		filter := envelope.Filter{Session: "s", Name: "audit", Pattern: "e.*"}
		publisher := b.messages(t, envelope.Config{})
		publish(t, publisher, envelope.Message{Session: "s", EventType: "e.before"})

		for round := range 3 {
			under := b.messages(t, envelope.Config{})
			s, got := subscribe(t, under, filter)

			if round > 0 {
				wantNext(t, got, fmt.Sprint("e.away", round-1))
			}

			publish(t, publisher, envelope.Message{Session: "s", EventType: "other"})
			publish(t, publisher, envelope.Message{Session: "s", EventType: fmt.Sprint("e.here", round)})
			wantNext(t, got, fmt.Sprint("e.here", round))
			s.Close()

			if err := s.Err(); err != nil {
				t.Error(err)
			}

			publish(t, publisher, envelope.Message{Session: "s", EventType: fmt.Sprint("e.away", round)})
		}
	})
}

// TestFailingSubscriber tries a message again, in place, sets it aside and goes on; without a name it does neither.
func TestFailingSubscriber(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		bus := b.messages(t, envelope.Config{})

		var (
			mu    sync.Mutex
			tries []string
		)

		done := make(chan struct{})
		handler := func(_ context.Context, m envelope.Message) error {
			mu.Lock()
			defer mu.Unlock()

			tries = append(tries, fmt.Sprint(m.EventType, m.RetryCount))

			if m.EventType == "good" {
				close(done)

				return nil
			}

			return errors.New("it broke")
		}

		s, err := bus.Subscribe(t.Context(), envelope.Filter{Name: "audit"}, handler)
		if err != nil {
			t.Fatal(err)
		}

		publish(t, bus, envelope.Message{Session: "s", EventType: "once", Mode: envelope.AtMostOnce})
		publish(t, bus, envelope.Message{Session: "s", EventType: "bad", MaxRetries: 2})
		publish(t, bus, envelope.Message{EventType: "worse", MaxRetries: envelope.NoRetries})
		publish(t, bus, envelope.Message{EventType: "late", CreatedAt: time.Now().Add(-time.Hour)})
		publish(t, bus, envelope.Message{EventType: "good"})
		receive(t, "the message behind them", done)
		s.Close()

		if got := strings.Join(tries, " "); got != "once0 bad0 bad1 bad2 worse0 good0" {
			t.Errorf("tries were %s", got)
		}

		dead := wantDead(t, bus, 2)
		if len(dead) != 2 || dead[0].Message.EventType != "bad" || dead[0].Component != "audit" ||
			dead[0].Reason != "retries exhausted: it broke" || dead[1].Message.EventType != "worse" {
			t.Errorf("dead letters are %+v", dead)
		}

		if n := bus.Stats(); n.Delivered != 1 || n.DeliveryFailures != 5 || n.Retried != 2 || n.DeadLettered != 2 ||
			n.RetryExhausted != 2 || n.TimeoutFailures != 1 {
			t.Errorf("stats are %+v", n)
		}
	})
}

// TestExactlyOnce publishes each message from several processes at once, and again later, among others.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		publishers := []*envelope.Bus{b.messages(t, envelope.Config{}), b.messages(t, envelope.Config{})}
		_, all := subscribe(t, publishers[0], envelope.Filter{})
		_, session := subscribe(t, publishers[1], envelope.Filter{Session: "s"})

		const n = 10

		var wg sync.WaitGroup

		for again := range 2 {
			for _, p := range publishers {
				wg.Go(func() {
					for i := range n {
						m := envelope.Message{
							ID: fmt.Sprint("m", i), Session: "s", EventType: fmt.Sprint("e", i), Mode: envelope.ExactlyOnce,
						}
						if _, err := p.Publish(t.Context(), m); err != nil {
							t.Errorf("%d: %v", again, err)
						}
					}
				})
			}

			wg.Wait()
		}

		publish(t, publishers[0], envelope.Message{Session: "s", EventType: "end"})

		for what, from := range map[string]<-chan string{"application": all, "session": session} {
			seen := map[string]int{}
			for got := receive(t, what, from); got != "end"; got = receive(t, what, from) {
				seen[got]++
			}

			for i := range n {
				if count := seen[fmt.Sprint("e", i)]; count != 1 {
					t.Errorf("%s: message %d came %d times", what, i, count)
				}
			}
		}
	})
}

func TestDeleteQueue(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		one, two := b.messages(t, envelope.Config{}), b.messages(t, envelope.Config{})
		s, got := subscribe(t, two, envelope.Filter{Session: "s"})
		_, other := subscribe(t, two, envelope.Filter{Session: "other"})

		if err := one.CreateQueue(t.Context(), "s"); err != nil {
			t.Error(err)
		}

		publish(t, one, envelope.Message{Session: "s", EventType: "first"})

		if err := one.DeleteQueue(t.Context(), "s"); err != nil {
			t.Fatal(err)
		}

		wantNext(t, got, "first")
		receive(t, "end of the subscription", s.Done())

		if err := s.Err(); !errors.Is(err, envelope.ErrQueueDeleted) {
			t.Errorf("the subscription ended with %v", err)
		}

		publish(t, one, envelope.Message{Session: "other", EventType: "second"})
		wantNext(t, other, "second")

		_, again := subscribe(t, two, envelope.Filter{Session: "s"})
		publish(t, one, envelope.Message{Session: "s", EventType: "third"})
		wantNext(t, again, "third")
	})
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		messages := b.messages(t, envelope.Config{})
		ctx := t.Context()

		for _, m := range []envelope.Message{
			{},
			{EventType: "a..b"},
			{EventType: "a.*"},
			{EventType: "_queue.deleted"},
			{EventType: "a", Session: "a.b"},
			{EventType: "a", Session: "_app"},
			{EventType: "a", ID: "a b"},
			{EventType: "a", Target: ">"},
			{EventType: "a", Payload: []byte("{")},
		} {
			if _, err := messages.Publish(ctx, m); !errors.Is(err, bus.ErrInvalid) {
				t.Errorf("publish %+v: %v", m, err)
			}

			if _, err := messages.Send(ctx, m); !errors.Is(err, bus.ErrInvalid) {
				t.Errorf("send %+v: %v", m, err)
			}
		}

		large := envelope.Message{EventType: "a", Payload: []byte(`"` + strings.Repeat("x", 2<<20) + `"`)}
		if _, err := messages.Publish(ctx, large); !errors.Is(err, bus.ErrTooLarge) {
			t.Errorf("publish too much: %v", err)
		}

		if _, err := messages.Send(ctx, envelope.Message{EventType: "a"}); !errors.Is(err, bus.ErrInvalid) {
			t.Errorf("send to nobody: %v", err)
		}

		for _, f := range []envelope.Filter{
			{Pattern: "a..b"},
			{Pattern: "a*"},
			{Pattern: ">.a"},
			{Session: "*"},
			{Component: "a b"},
			{Name: "a.b"},
			{Name: strings.Repeat("n", 60)},
		} {
			if _, err := messages.Subscribe(ctx, f, nil); !errors.Is(err, bus.ErrInvalid) {
				t.Errorf("subscribe to %+v: %v", f, err)
			}
		}

		if err := messages.Handle(ctx, "a.b", nil); !errors.Is(err, bus.ErrInvalid) {
			t.Errorf("handle: %v", err)
		}

		if err := errors.Join(messages.CreateQueue(ctx, "_app"), messages.DeleteQueue(ctx, "")); !errors.Is(err, bus.ErrInvalid) {
			t.Errorf("queues: %v", err)
		}
	})
}

func TestClosed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		messages := b.messages(t, envelope.Config{})
		s, _ := subscribe(t, messages, envelope.Filter{})
		ended := make(chan error, 1)
		begun := make(chan struct{})

		go func() {
			ended <- messages.Handle(t.Context(), "llm", func(context.Context, envelope.Message) error {
				close(begun)

				return nil
			})
		}()

		send(t, messages, envelope.Message{EventType: "a", Target: "llm"})
		receive(t, "message", begun)

		for range 2 {
			if err := messages.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}

		if err := receive(t, "end of Handle", ended); !errors.Is(err, envelope.ErrClosed) {
			t.Errorf("handle: %v", err)
		}

		receive(t, "end of the subscription", s.Done())

		if _, err := messages.Publish(t.Context(), envelope.Message{EventType: "a"}); !errors.Is(err, envelope.ErrClosed) {
			t.Errorf("publish: %v", err)
		}

		if _, err := messages.Send(t.Context(), envelope.Message{EventType: "a", Target: "b"}); !errors.Is(err, envelope.ErrClosed) {
			t.Errorf("send: %v", err)
		}

		if _, err := messages.Subscribe(t.Context(), envelope.Filter{}, nil); err == nil {
			t.Error("subscribe works")
		}

		if h := messages.Health(t.Context()); h.Healthy || h.Reason == "" {
			t.Errorf("health is %+v", h)
		}
	})
}
