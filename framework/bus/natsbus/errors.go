package natsbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// Error codes of the JetStream API that decide something here.
const (
	codeAccountResources     = 10002
	codeConsumerNotFound     = 10014
	codeInsufficient         = 10023
	codeMemoryResources      = 10028
	codeNoMessage            = 10037
	codeStorageResources     = 10047
	codeTooLarge             = 10054
	codeNameInUse            = 10058
	codeStreamNotFound       = 10059
	codeWrongLast            = 10071
	codeStoreFailed          = 10077
	codeHeaderTooLarge       = 10097
	codeInFlight             = 10164
	codeTooManyRequests      = 10167
	codeInvalidJSON          = 10025
	codeNoPeers              = 10005
	codeReplicasUnsupported  = 10074
	codeNotEnabled           = 10076
	codeNotEnabledForAccount = 10039
	codeInvalidConfig        = 10052
	codeNoSequence           = 10043
	codeDeleteFailed         = 10057
)

// apiError is an error as the JetStream API reports it.
type apiError struct {
	Status      int    `json:"code"`
	Code        int    `json:"err_code"`
	Description string `json:"description"`
}

// Error implements error.
func (e *apiError) Error() string {
	return fmt.Sprintf("%s (JetStream error %d)", e.Description, e.Code)
}

// Unwrap returns the outcome of the port that the code stands for, or nil.
func (e *apiError) Unwrap() error {
	switch e.Code {
	case codeWrongLast:
		return bus.ErrConflict
	case codeInFlight, codeTooManyRequests:
		return bus.ErrBusy
	case codeAccountResources, codeInsufficient, codeMemoryResources, codeStorageResources:
		return bus.ErrFull
	case codeTooLarge, codeHeaderTooLarge:
		return bus.ErrTooLarge
	case codeStreamNotFound:
		return bus.ErrUnknown // it is made again
	case codeDeleteFailed, codeInvalidConfig:
		return nil // decided, whatever the status says
	case codeStoreFailed:
		if strings.Contains(e.Description, "maximum") {
			return bus.ErrFull
		}
	}
	if e.Status >= 500 {
		return bus.ErrUnknown
	}

	return nil
}

// mapError gives an error of nats.go the outcome of the port that it stands for.
func mapError(err error) error {
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: %w", bus.ErrTooLarge, err)
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return bus.ErrClosed
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrDisconnected),
		errors.Is(err, nats.ErrConnectionReconnecting), errors.Is(err, nats.ErrTimeout),
		errors.Is(err, nats.ErrNoResponders), broken(err):
		return fmt.Errorf("%w: %w", bus.ErrUnknown, err)
	}

	return err
}

// broken reports whether an error is that of a write to a connection that broke or was given up. The client returns it to
// whoever wrote before it knows that it has to connect again.
func broken(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)

	return ok || isAny(err, net.ErrClosed, io.ErrClosedPipe, os.ErrDeadlineExceeded)
}

// deniedSubject returns the subject and whether it was a publish of a permission violation that the server reported.
func deniedSubject(err error) (subject string, publish bool) {
	_, rest, found := strings.Cut(err.Error(), "for Publish to \"")
	if !found {
		_, rest, _ = strings.Cut(err.Error(), "for Subscription to \"")
	}
	subject, _, _ = strings.Cut(rest, `"`)

	return subject, found
}

// Bounds of a back-off.
const (
	backoffMin  = 2 * time.Millisecond
	backoffSpan = 8 * time.Millisecond
	backoffMax  = 250 * time.Millisecond
)

// tries counts those of a call that is repeated.
type tries struct {
	bus   *Bus
	n     int
	since time.Time
}

func (b *Bus) tries() tries { return tries{bus: b, since: time.Now()} }

// again waits before the next try of a call that failed with err. It returns what ends the call: err after the time for
// which the bus insists, or the end of ctx or of the bus.
func (t *tries) again(ctx context.Context, err error) error {
	if time.Since(t.since) > t.bus.insist {
		return fmt.Errorf("gave up after %d tries: %w", t.n+1, err)
	}
	if end := t.bus.pause(ctx, t.n); end != nil {
		return fmt.Errorf("%w: %w", end, err)
	}
	t.n++

	return nil
}

// pause waits before try attempt+1: 2 to 10 ms with jitter, doubling with each attempt from the fourth. It returns the
// context's error when that ends first, and the bus's when that is closed: a context that never ends keeps nobody then.
func (b *Bus) pause(ctx context.Context, attempt int) error {
	wait := backoffMin + rand.N(backoffSpan)
	if attempt > 3 {
		wait = min(wait<<min(attempt-3, 10), backoffMax)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-b.closing:
		return b.closedError()
	}
}
