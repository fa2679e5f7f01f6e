package envelope_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

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
