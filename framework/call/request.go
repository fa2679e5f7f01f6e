package call

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/subjects"
)

// Request says what is asked of whom. Operation is required, and one of Component and Capability.
type Request struct {
	// Component that is called. Defaults to any that has Capability.
	Component string
	// Capability that the instance must have. Defaults to none.
	Capability string
	// Operation is what is asked for, one of those that the component serves. Required.
	Operation string
	// Body is for the handler. Defaults to JSON.
	Body []byte
	// JSON is encoded as the body where Body is nil. Defaults to an empty body.
	JSON any
	// Header goes with the request, for layers between the two, such as traces; see [bus.Message]. Keys that begin with
	// "Call-", in any case, are this package's own. Defaults to none.
	Header map[string]string
	// Session, Turn and Root say in which turn the call happens. Default to none; a turn fills in its own.
	Session, Turn, Root string
	// ID correlates the two sides. Defaults to a random one.
	ID string

	// Timeout bounds the call with all its tries; of a stream it bounds each wait for a reply. ctx bounds both as well.
	// Defaults to Config.Timeout; -1 leaves it to ctx.
	Timeout time.Duration
	// Idempotent says that it does no harm when the request is served twice. Defaults to false: the request is sent again
	// only where it is sure that nobody served it.
	Idempotent bool
	// Hedge is after how long another instance is asked as well; the first reply counts, and the other one is cancelled.
	// It needs Idempotent, and does nothing for streams. Defaults to never.
	Hedge time.Duration
	// Sticky prefers the same instance for the same Session while that has room. Defaults to false.
	Sticky bool
	// Fallback answers when the call has failed, with the reason in hand, unless ctx has ended; of a stream, when it
	// failed before its first reply. Defaults to none: the reason is returned.
	Fallback func(ctx context.Context, reason error) ([]byte, error)
}

// Keys of the header.
const (
	headerOwn       = "Call-"
	headerOperation = headerOwn + "Operation"
	headerID        = headerOwn + "Id"
	headerFrom      = headerOwn + "From"
	headerSession   = headerOwn + "Session"
	headerTurn      = headerOwn + "Turn"
	headerRoot      = headerOwn + "Root"
)

var (
	errTarget    = errors.New("name a component or a capability")
	errOperation = errors.New("name an operation")
	errHedge     = errors.New("only an idempotent request can be hedged")
	errHeader    = errors.New("header keys that begin with \"Call-\" are reserved")
)

// complete fills in the defaults and returns the message that carries the request, or what is wrong with it.
func (r *Request) complete(cfg Config) (*bus.Message, error) {
	if r.ID == "" {
		r.ID = rand.Text()
	}

	if r.Timeout == 0 {
		r.Timeout = cfg.Timeout
	}

	var errs []error
	if r.Component != "" {
		errs = append(errs, subjects.CheckID("component", r.Component))
	} else if r.Capability == "" {
		errs = append(errs, errTarget)
	}

	if r.Operation == "" {
		errs = append(errs, errOperation)
	}

	if r.Hedge > 0 && !r.Idempotent {
		errs = append(errs, errHedge)
	}

	if r.pretends() {
		errs = append(errs, errHeader)
	}

	if r.Body == nil && r.JSON != nil {
		body, err := json.Marshal(r.JSON)
		r.Body, errs = body, append(errs, err)
	}

	if err := errors.Join(errs...); err != nil {
		return nil, r.failed("", fmt.Errorf("%w: %w", bus.ErrInvalid, err))
	}

	return &bus.Message{Header: r.header(cfg.From), Body: r.Body}, nil
}

// pretends reports whether the request's own header would be taken for what this package says of it.
func (r *Request) pretends() bool {
	for key := range r.Header {
		if len(key) >= len(headerOwn) && strings.EqualFold(key[:len(headerOwn)], headerOwn) {
			return true
		}
	}

	return false
}

func (r *Request) header(from string) map[string]string {
	h := map[string]string{}
	maps.Copy(h, r.Header)

	for key, value := range map[string]string{
		headerOperation: r.Operation, headerID: r.ID, headerFrom: from,
		headerSession: r.Session, headerTurn: r.Turn, headerRoot: r.Root,
	} {
		if value != "" {
			h[key] = value
		}
	}

	return h
}

// target names whom the request is for.
func (r *Request) target() string {
	if r.Component != "" {
		return r.Component
	}

	return "capability " + r.Capability
}

func (r *Request) failed(instance string, err error) error {
	return &Error{Target: r.target(), Instance: instance, Operation: r.Operation, ID: r.ID, Err: err}
}
