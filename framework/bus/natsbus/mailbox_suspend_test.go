package natsbus

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// TestSuspendedClaimIsLost moves the wall clock beyond a lease while the monotonic clock stands still, as they are when a
// suspended machine goes on. The server takes renewals of a delivery that another worker has by now, so they must not be
// sent, and one that was on its way must not count.
func TestSuspendedClaimIsLost(t *testing.T) {
	t.Parallel()

	b := single(t)
	ended := make(chan error, 1)
	long := bus.WorkConfig{Lease: time.Hour}

	work(t, b, long, func(ctx context.Context, held bus.Claim) {
		c, ok := held.(*claim)
		if !ok {
			t.Errorf("claim is a %T", held)

			return
		}

		now := c.term.Load()
		c.term.Store(&term{mono: now.mono, wall: now.wall.Add(-2 * time.Hour)})
		c.extend(&term{mono: now.mono.Add(time.Minute), wall: now.wall.Add(time.Minute)})

		_, err := c.Next(ctx)
		ended <- errors.Join(err, context.Cause(ctx))
	})
	post(t, b, "s", 0, 1)

	if err := <-ended; !errors.Is(err, bus.ErrLost) {
		t.Errorf("a claim of before the suspension: %v, want %v", err, bus.ErrLost)
	}
}

// TestServerTakesOldRenewals shows why a worker must not trust an answer alone: the server takes the renewal of a delivery
// that it has made again since.
func TestServerTakesOldRenewals(t *testing.T) {
	t.Parallel()

	b := single(t)
	first, again := make(chan string, 1), make(chan struct{})
	nth := 0

	work(t, b, bus.WorkConfig{Lease: time.Second, Concurrency: 1}, func(ctx context.Context, held bus.Claim) {
		c, ok := held.(*claim)
		nth++

		if nth == 1 && ok {
			c.letGo() // it is not renewed
			first <- c.ack

			return
		}

		<-again

		each(t, func(*bus.Letter) {})(ctx, held)
	})
	post(t, b, "s", 0, 1)

	ack := <-first
	m := must(b.nc.RequestWithContext(t.Context(), ack, []byte(ackWorking)))(t)

	if value(m.Header, headerStatus) != "" {
		t.Errorf("the renewal of the first delivery: %v", m.Header)
	}

	close(again)
}

func TestTermCountsBothClocks(t *testing.T) {
	t.Parallel()

	now := time.Now()
	for name, c := range map[string]struct {
		mono, wall time.Duration
		over       bool
	}{
		"neither":   {time.Minute, time.Minute, false},
		"monotonic": {-time.Minute, time.Minute, true},
		"wall":      {time.Minute, -time.Minute, true},
	} {
		if left := (&term{now.Add(c.mono), now.Round(0).Add(c.wall)}).left(); (left < 0) != c.over {
			t.Errorf("%s: %v left", name, left)
		}
	}
}
