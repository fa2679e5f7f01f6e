package envelope_test

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/embedded/embeddedtest"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
	"github.com/woodwork-go/woodwork/framework/bus/natsbus"
	"github.com/woodwork-go/woodwork/framework/bus/redisbus"
	"github.com/woodwork-go/woodwork/framework/envelope"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits for what must happen.
const patience = 30 * time.Second

// broker opens buses of messages on one broker, each on a connection of its own.
type broker struct {
	open func(t *testing.T) bus.Bus
}

// onEach runs a test on every bus.
func onEach(t *testing.T, test func(t *testing.T, b broker)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()

		shared := membus.NewBroker(membus.Config{})
		test(t, broker{func(*testing.T) bus.Bus { return shared.Open() }})
	})
	t.Run("nats", func(t *testing.T) {
		t.Parallel()

		url := embeddedtest.Run(t).URL()
		test(t, broker{func(t *testing.T) bus.Bus {
			t.Helper()

			b, err := natsbus.Open(t.Context(), natsbus.Config{URL: url, AppendTimeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}

			return b
		}})
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()

		url := redistest.Run(t, redistest.Options{}).URL()
		test(t, broker{func(t *testing.T) bus.Bus {
			t.Helper()

			b, err := redisbus.Open(t.Context(), redisbus.Config{URL: url, AppendTimeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}

			return b
		}})
	})
}

// messages opens a bus of messages that ends with the test.
func (b broker) messages(t *testing.T, cfg envelope.Config) *envelope.Bus {
	t.Helper()

	cfg.Backoff, cfg.BackoffMax = cmp.Or(cfg.Backoff, time.Millisecond), cmp.Or(cfg.BackoffMax, 10*time.Millisecond)
	under := b.open(t)
	m := envelope.New(under, cfg)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(m.Close(ctx), under.Close(ctx)); err != nil {
			t.Error(err)
		}
	})

	return m
}

func publish(t *testing.T, b *envelope.Bus, m envelope.Message) envelope.Message {
	t.Helper()

	m, err := b.Publish(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}

	return m
}

func send(t *testing.T, b *envelope.Bus, m envelope.Message) envelope.Message {
	t.Helper()

	m, err := b.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}

	return m
}

// subscribe offers the event types that pass a filter to a channel.
func subscribe(t *testing.T, b *envelope.Bus, f envelope.Filter) (*envelope.Subscription, <-chan string) {
	t.Helper()

	got := make(chan string, 100)

	s, err := b.Subscribe(t.Context(), f, func(_ context.Context, m envelope.Message) error {
		got <- m.EventType

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	return s, got
}

// handle handles what is sent to a component until the test ends.
func handle(t *testing.T, b *envelope.Bus, component string, h envelope.Handler) {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() { ended <- b.Handle(ctx, component, h) }()

	t.Cleanup(func() {
		cancel()

		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()

	timer := time.NewTimer(patience)
	defer timer.Stop()

	select {
	case v := <-from:
		return v
	case <-timer.C:
		t.Fatalf("%s: nothing within %v", what, patience)
		panic("unreachable")
	}
}

func wantNext(t *testing.T, from <-chan string, want ...string) {
	t.Helper()

	for _, w := range want {
		if got := receive(t, w, from); got != w {
			t.Fatalf("got %s, want %s", got, w)
		}
	}
}

// wantDead waits until as many messages are set aside.
func wantDead(t *testing.T, b *envelope.Bus, n int) []envelope.Dead {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()

	for {
		dead, err := b.DeadLetters(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}

		if len(dead) >= n {
			return dead
		}

		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%d messages are set aside, want %d", len(dead), n)
		}
	}
}
