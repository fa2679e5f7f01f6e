package envelope_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/envelope"
)

// astray is a bus whose broker's clock is that much ahead of this process's.
type astray struct {
	bus.Bus

	ahead time.Duration
}

func (a astray) Now(ctx context.Context) (time.Time, error) {
	now, err := a.Bus.Now(ctx)

	return now.Add(a.ahead), err
}

// astray opens a bus of messages in a process whose clock is wrong, on a bus whose broker's clock is right.
func (b broker) astray(t *testing.T, ahead time.Duration) *envelope.Bus {
	t.Helper()

	return broker{func(t *testing.T) bus.Bus {
		t.Helper()

		return astray{b.open(t), ahead}
	}}.messages(t, envelope.Config{})
}

// TestClocksDiffer: how old a message is says the broker's clock. Those of the processes don't matter, as long as the
// broker's is known.
func TestClocksDiffer(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		for name, ahead := range map[string]time.Duration{"ahead": 10 * time.Minute, "behind": -10 * time.Minute} {
			messages := b.astray(t, ahead)
			got := make(chan string, 10)

			handle(t, messages, name, func(_ context.Context, m envelope.Message) error {
				got <- m.EventType

				return nil
			})

			_, told := subscribe(t, messages, envelope.Filter{Session: name, Name: name})
			now := envelope.Message{Session: name, EventType: "now", Target: name, TTL: time.Minute}
			late := now
			late.EventType, late.CreatedAt = "late", time.Now().Add(-2*time.Minute)

			for _, m := range []envelope.Message{late, now} {
				sent := send(t, messages, m)
				publish(t, messages, m)

				want := time.Now().Add(ahead)
				if m.EventType == "late" {
					want = want.Add(-2 * time.Minute)
				}

				if off := sent.CreatedAt.Sub(want).Abs(); off > patience {
					t.Errorf("%s was made at %v, %v off the broker's clock", m.EventType, sent.CreatedAt, off)
				}
			}

			wantNext(t, got, "now")
			wantNext(t, told, "now")
		}
	})
}

// TestSenderOfLongAgo sends from a process whose clock is decades behind that of the broker and of who handles it.
func TestSenderOfLongAgo(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, b broker) {
		messages := b.messages(t, envelope.Config{})
		if kind := messages.Health(t.Context()).Kind; kind == "memory" {
			return // its broker is in the process, and so has its clock
		}

		synctest.Test(t, func(t *testing.T) { // where it is the year 2000
			under := b.open(t)
			sender := envelope.New(under, envelope.Config{})

			send(t, sender, envelope.Message{Session: "s", EventType: "hello", Target: "llm", TTL: time.Minute})

			_ = sender.Close(t.Context())
			_ = under.Close(t.Context())
		})

		got := make(chan string, 1)

		handle(t, messages, "llm", func(_ context.Context, m envelope.Message) error {
			got <- m.EventType

			return nil
		})
		wantNext(t, got, "hello")
	})
}
