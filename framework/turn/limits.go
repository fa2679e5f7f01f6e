package turn

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// LimitError is the cause of a handler's context when its turn took too long. The turn fails.
type LimitError struct {
	// After is the limit that was exceeded.
	After time.Duration
	// Idle says that nothing was read or sent for so long; otherwise the whole attempt took longer.
	Idle bool
	// NoInput says that nothing of the turn's input had come, either.
	NoInput bool
}

// Error implements error.
func (e *LimitError) Error() string {
	switch {
	case e.NoInput:
		return fmt.Sprintf("nothing of the turn's input came, and nothing was sent, for %v", e.After)
	case e.Idle:
		return fmt.Sprintf("nothing was read or sent for %v", e.After)
	}

	return fmt.Sprintf("the turn took longer than %v", e.After)
}

// limits ends attempts that take too long. One goroutine looks after all attempts of a worker, a few times within each
// limit.
type limits struct {
	idle, whole time.Duration // not positive: none

	mu      sync.Mutex
	running map[*timed]struct{}
}

// timed is an attempt under limits.
type timed struct {
	cancel   context.CancelCauseFunc
	progress func() uint64
	seen     uint64
	began    time.Time
	active   time.Time
}

func newLimits(cfg Config) *limits {
	return &limits{idle: cfg.Idle, whole: cfg.MaxDuration, running: map[*timed]struct{}{}}
}

// looks is how often the shortest limit is looked at while it runs.
const looks = 10

// run looks after the attempts until ctx ends.
func (l *limits) run(ctx context.Context) {
	shortest := l.whole
	if shortest <= 0 || l.idle > 0 && l.idle < shortest {
		shortest = l.idle
	}

	if shortest <= 0 {
		return
	}

	ticker := time.NewTicker(max(shortest/looks, time.Millisecond))
	defer ticker.Stop()

	for {
		select {
		case now := <-ticker.C:
			l.look(now)
		case <-ctx.Done():
			return
		}
	}
}

func (l *limits) look(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()

	for t := range l.running {
		if p := t.progress(); p != t.seen {
			t.seen, t.active = p, now
		}

		switch {
		case l.whole > 0 && now.Sub(t.began) > l.whole:
			t.cancel(&LimitError{After: l.whole})
		case l.idle > 0 && now.Sub(t.active) > l.idle:
			t.cancel(&LimitError{After: l.idle, Idle: true})
		}
	}
}

// watch puts an attempt under the limits. progress changes whenever the attempt reads or sends something. The caller
// calls end after the attempt.
func (l *limits) watch(ctx context.Context, progress func() uint64) (limited context.Context, end func()) {
	limited, cancel := context.WithCancelCause(ctx)
	now := time.Now()
	t := &timed{cancel: cancel, progress: progress, seen: progress(), began: now, active: now}

	l.mu.Lock()
	defer l.mu.Unlock()

	l.running[t] = struct{}{}

	return limited, func() {
		l.mu.Lock()
		defer l.mu.Unlock()

		delete(l.running, t)
		cancel(nil)
	}
}
