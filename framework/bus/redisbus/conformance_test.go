package redisbus

import (
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	bustest.Run(t, bustest.Features{PostOnce: true, Lease: time.Second}, func(t *testing.T) bustest.Harness {
		t.Helper()

		return harness(t, redistest.Run(t, redistest.Options{Fsync: redistest.EverySecond}).URL())
	})
}

func harness(t *testing.T, url string) bustest.Harness {
	t.Helper()
	c := admin(t, url)

	return bustest.Harness{
		Open: func(t testing.TB) bus.Bus {
			t.Helper()

			return must(Open(t.Context(), Config{URL: url, Name: named(), AppendTimeout: 2 * time.Second}))(t)
		},
		Lapse: func(t testing.TB, b bus.Bus) {
			t.Helper()
			b.(*Bus).workers.lapse()
		},
		Cut: func(t testing.TB, b bus.Bus) {
			t.Helper()
			cut(t, c, b.(*Bus).cfg.Name)
		},
	}
}
