package provider

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
)

// Retry says how often and how patiently a request is repeated that failed before the first piece of its answer. The
// zero value works.
type Retry struct {
	// Attempts is how often a request is sent at most, the first time included. Defaults to 5; 1 switches retries off.
	Attempts int
	// Backoff is the wait before the second attempt; it doubles with each further one. Up to a quarter of it is taken
	// off at random, so that many instances don't come back at once. Defaults to 500 ms.
	Backoff time.Duration
	// MaxBackoff bounds the growth of Backoff. Defaults to 8 s.
	MaxBackoff time.Duration
	// Budget is how long all attempts may take together, waits included, until the last one begins. A provider that asks
	// for a longer wait is not asked again. Defaults to 1 minute.
	Budget time.Duration
	// OnRetry is told of each failure that is followed by another attempt, and the wait before it. It may be called
	// concurrently for different requests. Defaults to nobody.
	OnRetry func(err error, wait time.Duration)
}

// The defaults of [Retry].
const (
	DefaultAttempts   = 5
	DefaultBackoff    = 500 * time.Millisecond
	DefaultMaxBackoff = 8 * time.Second
	DefaultBudget     = time.Minute
)

// WithRetry returns a model that repeats requests to m which failed in a passing way (see [Error.Passing]) before
// anything was emitted. A wait the provider asks for is kept. After the last attempt its error is returned.
func WithRetry(m Model, r Retry) Model {
	r.Attempts = orDefault(r.Attempts, DefaultAttempts)
	r.Backoff = orDefault(r.Backoff, DefaultBackoff)
	r.MaxBackoff = orDefault(r.MaxBackoff, DefaultMaxBackoff)
	r.Budget = orDefault(r.Budget, DefaultBudget)

	return &retrying{model: m, cfg: r}
}

type retrying struct {
	model Model
	cfg   Retry
}

var _ Model = (*retrying)(nil)

// Name implements [Model].
func (r *retrying) Name() string { return r.model.Name() }

// Stream implements [Model].
func (r *retrying) Stream(ctx context.Context, req Request, emit func(text string) error) (Result, error) {
	emitted := false
	note := func(text string) error {
		emitted = true

		return emit(text)
	}

	var last Result // the policy forgets it when ctx ends

	_, err := failsafe.With(r.policy(time.Now())).WithContext(ctx).Get(func() (Result, error) {
		var err error

		last, err = r.model.Stream(ctx, req, note)

		if failure, ok := errors.AsType[*Error](err); ok {
			failure.Partial = emitted
		}

		return last, err //nolint:wrapcheck // a decorator adds nothing to say
	})

	return last, err //nolint:wrapcheck // a decorator adds nothing to say
}

// policy is the retry policy of one request that began at the given time.
func (r *retrying) policy(begun time.Time) retrypolicy.RetryPolicy[Result] {
	worthwhile := func(_ Result, err error) bool {
		var failure *Error

		return errors.As(err, &failure) && failure.Passing() && time.Since(begun)+failure.RetryAfter < r.cfg.Budget
	}

	return retrypolicy.NewBuilder[Result]().
		HandleIf(worthwhile).
		WithMaxAttempts(r.cfg.Attempts).
		WithMaxDuration(r.cfg.Budget).
		WithDelayFunc(func(e failsafe.ExecutionAttempt[Result]) time.Duration {
			return r.delay(e.Attempts(), e.LastError())
		}).
		OnRetryScheduled(func(e failsafe.ExecutionScheduledEvent[Result]) {
			if r.cfg.OnRetry != nil {
				r.cfg.OnRetry(e.LastError(), e.Delay)
			}
		}).
		ReturnLastFailure().
		Build()
}

// delay is the wait after the given number of attempts, the last of which failed with err.
func (r *retrying) delay(attempts int, err error) time.Duration {
	backoff := r.cfg.Backoff
	for i := 1; i < attempts && backoff < r.cfg.MaxBackoff; i++ {
		backoff *= 2
	}

	backoff = min(backoff, r.cfg.MaxBackoff)
	backoff -= time.Duration(rand.Int64N(int64(backoff)/4 + 1))

	if failure, ok := errors.AsType[*Error](err); ok {
		return max(backoff, failure.RetryAfter)
	}

	return backoff
}
