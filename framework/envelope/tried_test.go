package envelope_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/envelope"
)

// spoilt is a bus that spoils the first claims.
type spoilt struct {
	bus.Bus

	claims atomic.Int32 // how many are left to be spoilt
	spoil  func(ctx context.Context, c bus.Claim, serve func(context.Context, bus.Claim))
}

func (s *spoilt) Work(
	ctx context.Context, component string, cfg bus.WorkConfig, serve func(context.Context, bus.Claim),
) error {
	return s.Bus.Work(ctx, component, cfg, func(ctx context.Context, c bus.Claim) {
		if s.claims.Add(-1) >= 0 {
			s.spoil(ctx, c, serve)
		} else {
			serve(ctx, c)
		}
	})
}

// dying is the claim of a process that dies when its handler has returned.
type dying struct{ bus.Claim }

func (dying) Done(context.Context, *bus.Letter) error      { return bus.ErrLost }
func (dying) Release(context.Context, time.Duration) error { return bus.ErrLost }

// spoiling returns a bus of messages on one that spoils the first claims.
func (b broker) spoiling(
	t *testing.T, claims int32, spoil func(context.Context, bus.Claim, func(context.Context, bus.Claim)),
) *envelope.Bus {
	t.Helper()

	return broker{func(t *testing.T) bus.Bus {
		t.Helper()

		s := &spoilt{Bus: b.open(t), spoil: spoil}
		s.claims.Store(claims)

		return s
	}}.messages(t, envelope.Config{})
}

// TestAtMostOnce: a message is not handled again when its process dies before the bus knows that it is done.
func TestAtMostOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		messages := b.spoiling(t, 1, func(ctx context.Context, c bus.Claim, serve func(context.Context, bus.Claim)) {
			serve(ctx, dying{c})
		})
		tried := make(chan string, 10)

		handle(t, messages, "llm", func(_ context.Context, m envelope.Message) error {
			tried <- m.EventType

			return nil
		})

		once := send(t, messages, envelope.Message{Session: "s", EventType: "once", Target: "llm", Mode: envelope.AtMostOnce})
		send(t, messages, envelope.Message{Session: "s", EventType: "next", Target: "llm"})
		wantNext(t, tried, "once", "next")

		dead := wantDead(t, messages, 1)
		if dead[0].Message.ID != once.ID || !strings.HasPrefix(dead[0].Reason, "interrupted") {
			t.Errorf("set aside are %+v", dead)
		}
	})
}

// TestAtMostOnceFails sets a message aside whose only try failed, with the reason.
func TestAtMostOnceFails(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		messages, tried := b.messages(t, envelope.Config{}), make(chan string, 10)

		handle(t, messages, "llm", func(_ context.Context, m envelope.Message) error {
			tried <- m.EventType

			return errors.New("it broke")
		})

		for range 2 { // sent again, it may be in the mailbox twice
			send(t, messages, envelope.Message{
				ID: "m", Session: "s", EventType: "once", Target: "llm", Mode: envelope.AtMostOnce,
			})
		}

		if dead := wantDead(t, messages, 1); dead[0].Reason != "retries exhausted: it broke" {
			t.Errorf("set aside are %+v", dead)
		}

		send(t, messages, envelope.Message{Session: "s", EventType: "next", Target: "llm", Mode: envelope.AtMostOnce})
		wantNext(t, tried, "once", "next")
	})
}

// TestHandedOutUnread: deliveries that nobody tried take no retry away.
func TestHandedOutUnread(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		const unread = 5

		messages := b.spoiling(t, unread, func(ctx context.Context, c bus.Claim, _ func(context.Context, bus.Claim)) {
			if err := c.Release(ctx, 0); err != nil {
				t.Error(err)
			}
		})
		tried := make(chan string, 10)

		handle(t, messages, "llm", func(_ context.Context, m envelope.Message) error {
			tried <- fmt.Sprint(m.EventType, m.RetryCount)

			return errors.New("it broke")
		})

		send(t, messages, envelope.Message{Session: "s", EventType: "m", Target: "llm", MaxRetries: 2})
		wantNext(t, tried, "m0", "m1", "m2")
		wantDead(t, messages, 1)
	})
}

// TestPanickingHandler: a panic is a failure, of a message that was sent and of one that was published.
func TestPanickingHandler(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		messages, tried := b.messages(t, envelope.Config{}), make(chan string, 10)
		panics := func(_ context.Context, m envelope.Message) error {
			tried <- fmt.Sprint(m.EventType, m.RetryCount)

			if m.RetryCount == 0 {
				panic("of one try")
			}

			return nil
		}

		handle(t, messages, "llm", panics)
		send(t, messages, envelope.Message{Session: "s", EventType: "sent", Target: "llm"})
		wantNext(t, tried, "sent0", "sent1")

		for _, name := range []string{"", "named"} {
			s, err := messages.Subscribe(t.Context(), envelope.Filter{Session: "s", Name: name}, panics)
			if err != nil {
				t.Fatal(err)
			}

			publish(t, messages, envelope.Message{Session: "s", EventType: "told"})
			wantNext(t, tried, "told0")

			if name != "" {
				wantNext(t, tried, "told1")
			}

			s.Close()
		}
	})
}

// TestDeadlyMessage: a message whose every try ends its process is set aside.
func TestDeadlyMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const retries = 2

		broker := membus.NewBroker(membus.Config{})
		forever := make(chan struct{})
		defer close(forever)

		var died atomic.Int32

		open := func() (*membus.Bus, *envelope.Bus) {
			b := broker.Open()
			messages := envelope.New(b, envelope.Config{})

			t.Cleanup(func() { _ = messages.Close(context.WithoutCancel(t.Context())) })

			return b, messages
		}

		_, sender := open()
		send(t, sender, envelope.Message{Session: "s", EventType: "deadly", Target: "llm", MaxRetries: retries, TTL: envelope.Never})

		for range 10 {
			b, messages := open()
			handle(t, messages, "llm", func(context.Context, envelope.Message) error {
				died.Add(1)
				b.Lapse() // it says nothing more
				<-forever

				return nil
			})
			<-time.After(time.Minute)
		}

		// One that dies at its first delivery leaves no trace.
		if n := died.Load(); n < 1+retries || n > 2+retries {
			t.Errorf("it was tried %d times, want 1 and %d retries", n, retries)
		}

		wantDead(t, sender, 1)
	})
}
