package redisbus

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
)

const (
	// renewals is how often a lease is renewed within its length.
	renewals = 3
	// renewMost is how many claims one script renews, so that no script takes long.
	renewMost = 256
)

// leases renews all claims of a worker from one ticker. A lease counts from when its renewal was sent, so it ends here
// before it ends at the server.
type leases struct {
	w *worker

	mu     sync.Mutex
	claims map[*claim]struct{}
}

func (l *leases) begin(w *worker) {
	l.w, l.claims = w, map[*claim]struct{}{}
}

func (l *leases) add(c *claim) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.claims[c] = struct{}{}
}

func (l *leases) remove(c *claim) {
	l.mu.Lock()
	defer l.mu.Unlock()

	delete(l.claims, c)
}

func (l *leases) all() []*claim {
	l.mu.Lock()
	defer l.mu.Unlock()

	return slices.Collect(maps.Keys(l.claims))
}

// renew renews the claims until ctx ends.
func (l *leases) renew(ctx context.Context) {
	tick := time.NewTicker(l.w.lease / renewals)
	defer tick.Stop()

	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}

		for _, c := range l.all() {
			c.lapsed() // a renewal that gets no answer must not be waited for
		}

		for some := range slices.Chunk(l.all(), renewMost) {
			l.renewSome(ctx, some)
		}
	}
}

// renewSome makes leases longer. Where that fails they end by themselves, unless the next renewal comes in time.
func (l *leases) renewSome(ctx context.Context, claims []*claim) {
	args := make([]any, 0, 1+2*len(claims))
	args = append(args, l.w.lease.Microseconds())

	for _, c := range claims {
		args = append(args, c.session, c.token)
	}

	ctx, cancel := context.WithTimeout(ctx, l.w.lease)
	defer cancel()

	sent := time.Now()

	answer, err := l.w.bus.run(ctx, l.w.bus.scripts.renew, []string{l.w.keys.Due, l.w.keys.Claims}, args...)
	if err != nil {
		l.w.bus.log.Debug().Err(err).Str("component", l.w.component).Msg("renewing leases failed")

		return
	}

	lost, _ := answer.([]any)
	for i, c := range claims {
		if slices.Contains(lost, any(int64(i+1))) {
			c.lose(bus.ErrLost)
		} else {
			c.extend(sent.Add(l.w.lease))
		}
	}
}
