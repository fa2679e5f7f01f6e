package membus_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/framework/bus/membus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBus(t *testing.T) {
	t.Parallel()

	bustest.Run(t, bustest.Features{PostOnce: true}, func(*testing.T) bustest.Harness {
		broker := membus.NewBroker(membus.Config{})

		return bustest.Harness{
			Open: func(testing.TB) bus.Bus { return broker.Open() },
			Lapse: func(t testing.TB, b bus.Bus) {
				t.Helper()

				b.(*membus.Bus).Lapse()
			},
		}
	})
}
