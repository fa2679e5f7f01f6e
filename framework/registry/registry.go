package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// Config says how a [Registry] watches. The zero value works.
type Config struct {
	// Backoff is the wait before a lost watch is opened again; it doubles up to MaxBackoff. Defaults to 100 ms.
	Backoff time.Duration
	// MaxBackoff bounds the wait. Defaults to 5 s.
	MaxBackoff time.Duration
	// Logger gets lost watches and entries that can't be read. Defaults to none.
	Logger zerolog.Logger
}

// Registry is a copy of who is there, kept up to date while Run runs. All methods may be called concurrently; what they
// return is the copy's, without a round trip.
type Registry struct {
	kv     bus.KV
	cfg    Config
	synced chan struct{} // closed when the first watch has told all that is there

	mu      sync.RWMutex
	view    *view
	queues  map[*queue]struct{}
	changed chan struct{} // closed and replaced when the overrides may have changed
	once    sync.Once
}

// New returns a registry that watches kv. It knows nobody until Run runs.
func New(kv bus.KV, cfg Config) *Registry {
	if cfg.Backoff <= 0 {
		cfg.Backoff = 100 * time.Millisecond
	}

	if cfg.MaxBackoff <= 0 {
		cfg.MaxBackoff = 5 * time.Second
	}

	return &Registry{
		kv: kv, cfg: cfg, synced: make(chan struct{}), view: newView(), queues: map[*queue]struct{}{}, changed: make(chan struct{}),
	}
}

// Run watches until ctx ends, for which it returns nil, or the bus is closed. A watch that is lost is opened again, with
// backoff; meanwhile the copy stays as it was.
func (r *Registry) Run(ctx context.Context) error {
	for try := 0; ; try++ {
		told, err := r.watch(ctx)

		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it ends because it was told to
		case errors.Is(err, bus.ErrClosed):
			return fmt.Errorf("watch the registry: %w", err)
		case told:
			try = 0
		}

		r.cfg.Logger.Warn().Err(err).Msg("lost the watch on the registry; opening it again")

		if !pause(ctx, r.backoff(try)) {
			return nil
		}
	}
}

// Wait returns when the copy holds everyone who was there when Run began, or with the reason why ctx ended.
func (r *Registry) Wait(ctx context.Context) error {
	select {
	case <-r.synced:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the registry: %w", context.Cause(ctx))
	}
}

// watch follows one watch to its end. It reports whether that told all that is there.
func (r *Registry) watch(ctx context.Context) (told bool, err error) {
	r.mu.Lock()
	r.view.reopen()
	r.mu.Unlock()

	for e, err := range r.kv.Watch(ctx, bus.Registry, "") {
		if err != nil {
			return told, err
		}

		r.apply(e)

		if e.Kind == bus.KVSynced {
			told = true
			r.once.Do(func() { close(r.synced) })
		}
	}

	return told, nil
}

func (r *Registry) apply(e bus.KVEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()

	events, err := r.view.apply(e, time.Now())
	if err != nil {
		r.cfg.Logger.Warn().Err(err).Msg("ignored an entry of the registry")

		return
	}

	for q := range r.queues {
		q.push(events...)
	}

	if e.Kind == bus.KVSynced || subjects.IsBreakerKey(e.Entry.Key) {
		close(r.changed)
		r.changed = make(chan struct{})
	}
}

// backoff is the wait before try+2, with jitter: everybody's watch is lost at the same moment.
func (r *Registry) backoff(try int) time.Duration {
	const doublings = 10

	d := min(r.cfg.Backoff<<min(try, doublings), r.cfg.MaxBackoff)

	return d/2 + rand.N(d/2+1)
}

// pause waits for d and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
