package redisbus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// errReply: the server answered with something else than our scripts do.
var errReply = errors.New("unexpected reply")

// storeError gives an error of a call that stores something the outcome of the port that it stands for. What the server
// refused was not stored; of what broke or took too long nobody knows. parent is the caller's context.
func (b *Bus) storeError(parent context.Context, err error) error {
	if err == nil || errors.Is(err, redis.Nil) {
		return err
	}
	if refused := refusal(err); refused != nil {
		return fmt.Errorf("%w: %w", refused, err)
	}

	return b.callError(parent, err)
}

// readError is storeError for a call that changes nothing: it may always be repeated.
func (b *Bus) readError(parent context.Context, err error) error {
	if err == nil || errors.Is(err, redis.Nil) {
		return err
	}
	if refusal(err) != nil {
		return fmt.Errorf("%w: %w", bus.ErrUnknown, err)
	}

	return b.callError(parent, err)
}

// callError is for what both have in common.
func (b *Bus) callError(parent context.Context, err error) error {
	var reply redis.Error
	switch {
	case b.isClosing(), errors.Is(err, redis.ErrClosed):
		return bus.ErrClosed
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return fmt.Errorf("%w: %w", bus.ErrBusy, err)
	case errors.As(err, &reply):
		return err // decided, and not for a passing reason
	case parent.Err() != nil:
		return fmt.Errorf("%w: %w", bus.ErrUnknown, parent.Err())
	default:
		return fmt.Errorf("%w: %w", bus.ErrUnknown, err)
	}
}

// refusal returns the outcome of a reply that refused a command for now and before it changed anything, or nil.
func refusal(err error) error {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return nil
	}
	text := reply.Error()
	code, _, _ := strings.Cut(text, " ")
	switch code {
	case "OOM", "MISCONF", "NOREPLICAS": // no memory, a disk that fails, too few replicas
		return bus.ErrFull
	case "LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "MOVED", "ASK":
		return bus.ErrBusy
	}
	if strings.Contains(text, "-OOM ") || strings.Contains(text, "OOM command not allowed") { // out of a script, before 7.0
		return bus.ErrFull
	}

	return nil
}
