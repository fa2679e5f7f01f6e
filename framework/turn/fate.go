package turn

import (
	"context"
	"errors"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// Terminate marks an error as final: the turn is not tried again, and its output ends as failed with the reason.
// Terminate(nil) is nil.
func Terminate(err error) error {
	if err == nil {
		return nil
	}

	return &terminateError{err}
}

type terminateError struct{ error }

func (e *terminateError) Unwrap() error { return e.error }

// RetryAfter marks an error as one that is worth another try after d, instead of after the usual backoff; it counts as
// an attempt. RetryAfter(d, nil) is nil.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		return nil
	}

	return &retryAfterError{err, d}
}

type retryAfterError struct {
	error

	after time.Duration
}

func (e *retryAfterError) Unwrap() error { return e.error }

// fate is what becomes of a turn after one attempt.
type fate int

const (
	// complete: the output ends as completed and the letter is done.
	complete fate = iota + 1
	// follow: the input ended as failed or cancelled, so the output ends the same way and the letter is done.
	follow
	// cancelled: somebody cancelled the turn, so its streams end as cancelled and the letter is done.
	cancelled
	// restart: the input's attempt was superseded, so the turn starts again at once.
	restart
	// retry: the mailbox is given back and the turn is tried again later.
	retry
	// early: the time of the turn's next attempt has not come yet.
	early
	// handOver: this worker is going; another one takes the turn at once.
	handOver
	// lost: another worker has the turn already; this one must not touch it.
	lost
	// fail: the output ends as failed and the letter is done.
	fail
	// already: an earlier attempt has finished the turn; the letter is done.
	already
)

// decide maps the error of an attempt to the turn's fate. ctx is the handler's context; tried is how many attempts
// there were, this one included.
func decide(ctx context.Context, err error, tried int, cfg Config) (fate, time.Duration) {
	var (
		upstream *stream.EndError
		terminal *terminateError
		later    *retryAfterError
		limit    *LimitError
	)

	switch {
	case err == nil:
		return complete, 0
	case errors.Is(err, stream.ErrFenced), errors.Is(err, bus.ErrLost), errors.Is(context.Cause(ctx), bus.ErrLost):
		return lost, 0
	case errors.Is(context.Cause(ctx), errDraining):
		return handOver, 0
	case isCancelled(ctx):
		return cancelled, 0
	case errors.Is(err, stream.ErrSuperseded):
		return restart, 0
	case errors.As(err, &terminal), errors.As(err, &limit), errors.Is(err, errInputExpired), errors.Is(err, stream.ErrTooLarge):
		return fail, 0
	case errors.As(err, &upstream):
		return follow, 0
	case tried >= cfg.MaxAttempts:
		return fail, 0
	case errors.As(err, &later):
		return retry, later.after
	default:
		return retry, backoff(tried, cfg)
	}
}

func isCancelled(ctx context.Context) bool {
	_, ok := errors.AsType[*CancelledError](context.Cause(ctx))

	return ok
}

// backoff doubles from cfg.Backoff with each attempt, up to cfg.MaxBackoff.
func backoff(deliveries int, cfg Config) time.Duration {
	d := cfg.Backoff
	for i := 1; i < deliveries && d < cfg.MaxBackoff; i++ {
		d *= 2
	}

	return min(d, cfg.MaxBackoff)
}

// String returns the fate in words, for the log.
func (f fate) String() string {
	return [...]string{
		complete: "turn completed", follow: "turn ended as its input did",
		cancelled: "turn cancelled", restart: "turn restarted",
		retry: "turn will be tried again", early: "turn waits for its next attempt",
		handOver: "turn handed over", lost: "turn taken over by another instance",
		fail: "turn failed", already: "turn was done already",
	}[f]
}
