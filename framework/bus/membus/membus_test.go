package membus_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBus(t *testing.T) {
	t.Parallel()

	features := bustest.Features{PostOnce: true, BacklogExact: true, Virtual: true, Age: time.Hour, AgeSlack: time.Nanosecond}
	bustest.Run(t, features, func(*testing.T) bustest.Harness {
		h := harness(membus.Config{MaxBytes: 64 << 20})
		h.Aged = func(_ testing.TB, age time.Duration) bustest.Harness { return harness(membus.Config{MaxAge: age}) }

		return h
	})
}

func harness(cfg membus.Config) bustest.Harness {
	broker := membus.NewBroker(cfg)

	return bustest.Harness{
		Open: func(testing.TB) bus.Bus { return broker.Open() },
		Lapse: func(t testing.TB, b bus.Bus) {
			t.Helper()

			b.(*membus.Bus).Lapse()
		},
		Fill: func(t testing.TB) func() {
			t.Helper()

			return fill(t, broker.Open())
		},
		Wipe: func(_ testing.TB, id bus.StreamID) { broker.Wipe(id) },
	}
}

// fill sets ever smaller keys until none has room, and returns what deletes them.
func fill(t testing.TB, b *membus.Bus) (free func()) {
	t.Helper()

	var keys []string

	for size := b.Info().MaxBody; size > 0; {
		key := fmt.Sprint("filling-", len(keys))
		_, err := b.Set(t.Context(), bus.Sessions, key, make([]byte, size), 0, 0)

		switch {
		case errors.Is(err, bus.ErrFull):
			size /= 2
		case err != nil:
			t.Fatal(err)
		default:
			keys = append(keys, key)
		}
	}

	return func() {
		for _, key := range keys {
			if err := b.Delete(t.Context(), bus.Sessions, key, 0); err != nil {
				t.Error(err)
			}
		}

		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
