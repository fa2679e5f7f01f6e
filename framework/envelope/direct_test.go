package envelope_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/envelope"
)

// TestSend sends before anyone is there, to several sessions.
func TestSend(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		one, two := b.messages(t, envelope.Config{}), b.messages(t, envelope.Config{})

		const n = 5

		got := map[string]chan string{"": make(chan string, n), "s1": make(chan string, n), "s2": make(chan string, n)}

		for i := range n {
			for session := range got {
				send(t, one, envelope.Message{
					Session: session, EventType: fmt.Sprint("e", i), Target: "llm", Source: "input", Payload: []byte(`{"a":1}`),
				})
			}
		}

		handle(t, two, "llm", func(_ context.Context, m envelope.Message) error {
			if m.Target != "llm" || m.Source != "input" || string(m.Payload) != `{"a":1}` {
				t.Errorf("received %+v", m)
			}

			got[m.Session] <- m.EventType

			return nil
		})

		for _, from := range got {
			for i := range n {
				wantNext(t, from, fmt.Sprint("e", i))
			}
		}
	})
}

// TestFailingHandler tries again, sets aside and replays.
func TestFailingHandler(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		messages := b.messages(t, envelope.Config{})

		var healed atomic.Bool

		tried := make(chan string, 100)

		handle(t, messages, "llm", func(_ context.Context, m envelope.Message) error {
			tried <- fmt.Sprint(m.EventType, m.RetryCount)

			if m.EventType == "bad" && !healed.Load() {
				return errors.New("it broke")
			}

			return nil
		})

		bad := send(t, messages, envelope.Message{Session: "s", EventType: "bad", Target: "llm", MaxRetries: 2})
		send(t, messages, envelope.Message{
			Session: "s", EventType: "late", Target: "llm", CreatedAt: time.Now().Add(-time.Hour), TTL: time.Minute,
		})
		send(t, messages, envelope.Message{Session: "s", EventType: "good", Target: "llm"})
		wantNext(t, tried, "bad0", "bad1", "bad2", "good0")

		dead := wantDead(t, messages, 2)
		if len(dead) != 2 || dead[0].Message.ID != bad.ID || dead[0].Component != "llm" || dead[0].At.IsZero() ||
			dead[0].Reason != "retries exhausted: it broke" || dead[1].Reason != "expired" {
			t.Fatalf("dead letters are %+v", dead)
		}

		if few, err := messages.DeadLetters(t.Context(), 1); err != nil || len(few) != 1 {
			t.Errorf("the first dead letter is %+v, %v", few, err)
		}

		healed.Store(true)

		for _, d := range dead {
			if err := messages.Replay(t.Context(), d); err != nil {
				t.Error(err)
			}
		}

		wantNext(t, tried, "bad0", "late0")

		if left, err := messages.DeadLetters(t.Context(), 0); err != nil || len(left) != 0 {
			t.Errorf("dead letters left: %+v, %v", left, err)
		}

		if n := messages.Stats(); n.DeadLettered != 2 || n.RetryExhausted != 1 || n.TimeoutFailures != 1 || n.Retried != 2 {
			t.Errorf("stats are %+v", n)
		}
	})
}

// TestReplayAtOnce replays a message while the mailbox that it was in is still worked on.
func TestReplayAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		messages := b.messages(t, envelope.Config{})
		tried, goOn := make(chan string, 10), make(chan struct{})

		handle(t, messages, "llm", func(_ context.Context, m envelope.Message) error {
			tried <- m.EventType
			<-goOn

			if m.EventType == "bad" {
				return errors.New("it broke")
			}

			return nil
		})

		sent := send(t, messages, envelope.Message{Session: "s", EventType: "bad", Target: "llm", MaxRetries: envelope.NoRetries})
		send(t, messages, envelope.Message{Session: "s", EventType: "good", Target: "llm"})
		wantNext(t, tried, "bad")

		goOn <- struct{}{}

		wantNext(t, tried, "good")

		dead := wantDead(t, messages, 1)[0]
		if err := messages.Replay(t.Context(), dead); err != nil {
			t.Fatal(err)
		}

		if err := messages.Replay(t.Context(), dead); !errors.Is(err, bus.ErrNotFound) {
			t.Errorf("a second replay ended with %v", err)
		}

		close(goOn)
		wantNext(t, tried, "bad")

		if again := wantDead(t, messages, 1)[0].Message; again.ID != sent.ID {
			t.Errorf("set aside again was %+v", again)
		}

		if err := messages.Replay(t.Context(), envelope.Dead{Message: sent}); !errors.Is(err, bus.ErrInvalid) {
			t.Errorf("what was not listed was replayed: %v", err)
		}
	})
}

// late is a bus that forgets a dead letter only when it is told to.
type late struct {
	bus.Bus

	forget <-chan struct{}
}

func (l *late) Drop(ctx context.Context, d *bus.DeadLetter) error {
	<-l.forget

	return l.Bus.Drop(ctx, d)
}

// TestReplayFailsAgain before the dead letter is forgotten: the message is set aside anew.
func TestReplayFailsAgain(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		forget := make(chan struct{})
		operator := broker{func(t *testing.T) bus.Bus {
			t.Helper()

			return &late{b.open(t), forget}
		}}.messages(t, envelope.Config{})

		messages := b.messages(t, envelope.Config{})
		handle(t, messages, "llm", func(context.Context, envelope.Message) error { return errors.New("it broke") })
		send(t, messages, envelope.Message{Session: "s", EventType: "bad", Target: "llm", MaxRetries: envelope.NoRetries})

		dead, replayed := wantDead(t, messages, 1), make(chan error, 1)

		go func() { replayed <- operator.Replay(t.Context(), dead[0]) }()

		wantDead(t, messages, 2)
		close(forget)

		if err := receive(t, "replay", replayed); err != nil {
			t.Fatal(err)
		}

		if left := wantDead(t, messages, 1); len(left) != 1 || !left[0].At.After(dead[0].At) {
			t.Errorf("set aside are %+v", left)
		}
	})
}
