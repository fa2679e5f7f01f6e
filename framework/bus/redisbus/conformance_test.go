package redisbus

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/internal/redistest"
	"github.com/woodwork-go/woodwork/subjects"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	features := bustest.Features{PostOnce: true, BacklogExact: true, Lease: time.Second, AgeSlack: 100 * time.Millisecond}
	bustest.Run(t, features, func(t *testing.T) bustest.Harness {
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
	h := application(admin(t, url), Config{URL: url, AppendTimeout: 2 * time.Second})
	h.Aged = func(t testing.TB, age time.Duration) bustest.Harness {
		t.Helper()

		return application(admin(t, url), Config{URL: url, AppendTimeout: 2 * time.Second, App: strings.ToLower(named()), MaxAge: age})
	}

	return h
}

// application is the harness of one application on a server.
func application(c *redis.Client, cfg Config) bustest.Harness {
	return bustest.Harness{
		Open: func(t testing.TB) bus.Bus {
			t.Helper()
			cfg := cfg
			cfg.Name = named()

			return must(Open(t.Context(), cfg))(t)
		},
		Lapse: func(t testing.TB, b bus.Bus) {
			t.Helper()
			b.(*Bus).lapse()
		},
		Cut: func(t testing.TB, b bus.Bus) {
			t.Helper()
			cut(t, c, b.(*Bus).cfg.Name)
		},
		Fill: func(t testing.TB) func() {
			t.Helper()
			must(c.ConfigSet(t.Context(), "maxmemory", "1").Result())(t)

			return func() { must(c.ConfigSet(t.Context(), "maxmemory", "0").Result())(t) }
		},
		Wipe: func(t testing.TB, id bus.StreamID) {
			t.Helper()
			ns := must(subjects.New(cfg.App, 0))(t)
			log, head := must(ns.RedisLog(id.Session, id.Stream))(t), must(ns.RedisHead(id.Session, id.Stream))(t)
			must(c.Del(t.Context(), log, head).Result())(t)
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
