package redisbus

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/chaos/proc"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/bus/bustest"
	"github.com/woodwork-go/woodwork/internal/redisproc"
	"github.com/woodwork-go/woodwork/internal/redistest"
)

// Everything that belongs together is in one slot of a cluster, or its scripts would be refused.
func TestConformanceOfACluster(t *testing.T) {
	t.Parallel()
	features := bustest.Features{PostOnce: true, BacklogExact: true, Lease: time.Second, Faultless: true}
	bustest.Run(t, features, func(t *testing.T) bustest.Harness {
		t.Helper()
		_, port, err := net.SplitHostPort(must(proc.FreeAddress(t.Context()))(t))
		if err != nil {
			t.Fatal(err)
		}
		s := redistest.Run(t, redistest.Options{Lines: []string{"cluster-enabled yes", "cluster-port " + port}})
		c := admin(t, s.URL())
		must(c.ClusterAddSlotsRange(t.Context(), 0, 16383).Result())(t)
		retry(t, "cluster", func() error {
			info, err := c.ClusterInfo(t.Context()).Result()
			if err == nil && !strings.Contains(info, "cluster_state:ok") {
				err = errNoServer
			}

			return err
		})

		return harness(t, s.URL())
	})
}

// buffer is a log that is read while it is written.
type buffer struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.out.Write(p)
}

func (b *buffer) has(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()

	return strings.Contains(b.out.String(), text)
}

// sentinel starts one that watches a master and returns its address.
func sentinel(t *testing.T, master *redistest.Server) string {
	t.Helper()
	path := must(redisproc.Find())(t)
	addr := must(proc.FreeAddress(t.Context()))(t)
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("bind %s\nport %s\ndir %s\nsentinel monitor main %s 1\n"+
		"sentinel down-after-milliseconds main 2000\nsentinel failover-timeout main 5000\n",
		host, port, dir, strings.ReplaceAll(master.Addr(), ":", " "))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := must(proc.Start(t.Context(), proc.Spec{Path: path, Args: []string{file, "--sentinel"}, Log: filepath.Join(dir, "log")}))(t)
	t.Cleanup(p.Kill)

	return addr
}

// After a failover the bus goes on at the new master, and says what that one keeps.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	master := redistest.Run(t, redistest.Options{Fsync: redistest.EverySecond})
	redistest.Run(t, redistest.Options{ReplicaOf: master})
	addr := sentinel(t, master)
	watcher := redis.NewSentinelClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = watcher.Close() })
	retry(t, "replica that the sentinel knows", func() error {
		known, err := watcher.Replicas(t.Context(), "main").Result()
		if err == nil && len(known) == 0 {
			err = errNoServer
		}

		return err
	})
	log := &buffer{}
	b := open(t, Config{URL: "redis+sentinel://" + addr + "/main", AppendTimeout: time.Second, Logger: zerolog.New(log)})
	if got := b.Info().Durability; got != bus.Local {
		t.Errorf("durability is %s", got)
	}
	id := testID(1)
	missed := make(chan struct{}, 16)
	stop := must(b.Follow(t.Context(), id, func(e *bus.Entry) {
		if e == nil {
			missed <- struct{}{}
		}
	}))(t)
	defer stop()
	last := fill(t, b, id, 5)
	c := admin(t, master.URL())
	retry(t, "copy", func() error {
		n, err := c.Wait(t.Context(), 1, time.Second).Result()
		if err == nil && n == 0 {
			err = errNoServer
		}

		return err
	})
	master.Kill()
	retry(t, "append after the failover", func() error {
		_, err := b.Append(t.Context(), frame(id, 5, "x"), last)
		if errors.Is(err, bus.ErrConflict) { // an earlier try was stored
			err = nil
		}

		return err
	})
	receive(t, "word that something may be missing", missed)
	e := must(b.Last(t.Context(), id))(t)
	wantRead(t, b, e, []int{0, 1, 2, 3, 4, 5})
	retry(t, "durability of the new master", func() error {
		if b.Info().Durability != bus.Memory || !log.has("durability class changed") {
			return errNoServer
		}

		return nil
	})
}
