package call

import (
	"context"
	"errors"
	"fmt"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
)

// Outcomes of calls, besides [*bus.RemoteError], [bus.ErrInterrupted] and the cause of the caller's context. Test for
// them with [errors.Is]; each comes inside an [*Error].
var (
	// ErrNoInstance: no ready instance of the component or with the capability is there; nothing was done.
	ErrNoInstance = errors.New("no instance is ready")
	// ErrBreakerOpen: the circuit breaker of the component, or of each instance, refuses; nothing was done.
	ErrBreakerOpen = breaker.ErrOpen
	// ErrOverloaded: every instance has too much to do; nothing was done.
	ErrOverloaded = errors.New("all instances have too much to do")
	// ErrTimeout: there was no reply within the call's time; it may have been served.
	ErrTimeout = errors.New("no reply in time")
)

// Codes of the [*bus.RemoteError] with which a server refuses.
const (
	// CodeOverloaded: the instance serves as many requests as it may; nothing was done.
	CodeOverloaded = "overloaded"
	// CodeDraining: the instance is shutting down; nothing was done.
	CodeDraining = "draining"
	// CodeUnknown: the instance has no such operation; nothing was done.
	CodeUnknown = "unknown_operation"
	// CodeInvalid: the body is not what the operation takes; nothing was done.
	CodeInvalid = "invalid_request"
	// CodeUnavailable is for handlers that can't do their work for now: counted as a failure of the instance, and another
	// one is asked if the request is idempotent.
	CodeUnavailable = "unavailable"
)

// Error says which call failed. It satisfies [errors.Unwrap].
type Error struct {
	// Target is the component, or "capability x", that was called.
	Target string
	// Instance is the one that was asked last, as "component/instance"; empty when none was.
	Instance string
	// Operation is what was asked for.
	Operation string
	// ID is the call's correlation id, which the serving side knows as well.
	ID string
	// Err is the reason.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	where := e.Target
	if e.Instance != "" {
		where = e.Instance
	}

	return fmt.Sprintf("call %s of %s (call id %s): %v", e.Operation, where, e.ID, e.Err)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// errLeft is the cause of the context of a try whose instance has left the registry.
var errLeft = fmt.Errorf("the instance has left: %w", bus.ErrInterrupted)

// explain replaces what the bus said of a context that ended by the reason why it did.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}

	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}

	if code := remoteCode(err); code == CodeOverloaded {
		return fmt.Errorf("%w: %w", ErrOverloaded, err)
	}

	if errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrTimeout) {
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	}

	return err
}

func remoteCode(err error) string {
	if remote, ok := errors.AsType[*bus.RemoteError](err); ok {
		return remote.Code
	}

	return ""
}

// unserved reports whether an error says that nothing was done, and another instance may do it.
func unserved(err error) bool {
	code := remoteCode(err)

	return errors.Is(err, bus.ErrNoResponder) || code == CodeOverloaded || code == CodeDraining
}

// broken reports whether an error is one that another instance may not have, though the request may have been served.
func broken(err error) bool {
	return errors.Is(err, bus.ErrInterrupted) || remoteCode(err) == CodeUnavailable
}

// outcome is what an error of a try, or of a whole call, says of its target.
func outcome(err error) breaker.Outcome {
	switch code := remoteCode(err); {
	case err == nil:
		return breaker.Success
	case code == CodeOverloaded, code == CodeDraining:
		return breaker.Ignored
	case code == bus.CodeInternal, code == CodeUnavailable:
		return breaker.Failure
	case code != "":
		return breaker.Success // it works, and has its reason to refuse
	case errors.Is(err, bus.ErrInterrupted), errors.Is(err, bus.ErrNoResponder), errors.Is(err, ErrTimeout):
		return breaker.Failure
	default:
		return breaker.Ignored // the caller's, or the bus's here
	}
}
