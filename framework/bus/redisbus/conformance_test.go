package redisbus

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	bustest.Run(t, bustest.Features{PostOnce: true, BacklogExact: true, Lease: time.Second}, func(t *testing.T) bustest.Harness {
		t.Helper()
		server := redistest.Run(t, redistest.Options{Fsync: redistest.EverySecond})
		h, c := harness(t, server.URL()), admin(t, server.URL())
		h.Restart = func(t testing.TB, meanwhile func()) {
			t.Helper()
			syncLog(t, c)
			server.Kill()
			meanwhile()
			server.Start()
		}

		return h
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
			b.(*Bus).lapse()
		},
		Cut: func(t testing.TB, b bus.Bus) {
			t.Helper()
			cut(t, c, b.(*Bus).cfg.Name)
		},
		Aging: func(t testing.TB, age time.Duration) bus.Bus {
			t.Helper()

			return must(Open(t.Context(), Config{URL: url, Name: named(), MaxAge: age, AppendTimeout: 2 * time.Second}))(t)
		},
		Fill: func(t testing.TB) func() {
			t.Helper()
			must(c.ConfigSet(t.Context(), "maxmemory", "1").Result())(t)

			return func() { must(c.ConfigSet(t.Context(), "maxmemory", "0").Result())(t) }
		},
	}
}

// syncLog makes the server sync from now on before each answer, until it starts again. One that syncs every second holds
// back what it should write while a sync takes long, so that a kill would undo it; see TestServerKilled.
func syncLog(t testing.TB, c *redis.Client) {
	t.Helper()
	must(c.ConfigSet(t.Context(), "appendfsync", "always").Result())(t)
	must(c.Set(t.Context(), "synced", "", 0).Result())(t) // and with it what came before
}
