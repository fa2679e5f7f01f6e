package framework

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/framework/breaker"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/call"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/turn"
	"github.com/woodwork-go/woodwork/subjects"
)

// Handler executes one attempt of a turn. It reads turn.Input and sends to turn.Output; the framework ends the output
// after it returned. The returned error decides the turn's fate:
//
//   - nil completes the turn once all of its output is stored;
//   - [Terminate] sets it aside at once, as a dead letter, and ends its output as failed;
//   - [RetryAfter] tries it again after a delay of the handler's choice, which a cancel ends;
//   - any other error tries it again with backoff, up to the limit of attempts, and then does the same;
//   - the error of an input that failed or was cancelled ends the output the same way.
//
// ctx ends when the instance must give the turn up: then return, and another instance will take it. A handler may be
// executed more than once for a turn, also at the same time on an instance that was declared dead; what such a one
// sends is refused, so only effects outside of Woodwork need care.
type Handler func(ctx context.Context, turn *Turn) error

// Middleware wraps a handler. The first one listed is the outermost.
type Middleware func(Handler) Handler

// Service describes a component: its name and its work. Give it a Handler to work on turns, Calls to answer other
// components, a Run function to be an edge between Woodwork and the world outside, or several of them.
type Service struct {
	// Name is the component's name, an id of at most 64 letters, digits, "_" and "-". Required.
	Name string
	// Kind is what type of component it is in the registry, such as "llm". Defaults to the name.
	Kind string
	// Capabilities are what it can do, in words of the application, for others to find it by. Defaults to none.
	Capabilities []string
	// Version of the service, for the registry. Defaults to that of its main module.
	Version string
	// Handler executes the component's turns. Defaults to none: the component takes no turns.
	Handler Handler
	// Calls are the operations that other components can call, by name; see package call, whose JSON makes a handler of a
	// function. Defaults to none.
	Calls map[string]call.Handler
	// CallLimit is how many calls are served at once in one instance; more are refused, and go to another one. Defaults to
	// 64.
	CallLimit int
	// Breakers returns circuit breakers of the service's own, beside those of the components that it calls. They are
	// shown in its health and in the registry, and operators can force them. It is called once, when the service begins
	// to run. Defaults to none.
	Breakers func() *breaker.Set
	// Run is an edge's own loop. When it returns, the process drains and ends. Defaults to none.
	Run func(ctx context.Context, c *Client) error
	// Setup runs once, after the bus is open and before the first turn. Defaults to none.
	Setup func(ctx context.Context, c *Client) error
	// To lists the components that get a turn with each output, while it is still being written. Defaults to none: the
	// output is for the user. The flag --to and WOODWORK_TO override it.
	To []string
	// OnCrash says how a turn goes on when an instance died. Under stream.Fail a turn is executed again only as long as
	// readers have seen nothing of it; else it is set aside and fails, also when the handler fails. Defaults to
	// stream.Restart.
	OnCrash stream.Policy
	// Type is the data type of the output. Defaults to text.
	Type bus.DataType
	// Concurrency is how many turns run at once in one instance, those that wait for their next attempts not counted.
	// Defaults to 64. The flag --concurrency and WOODWORK_CONCURRENCY override it.
	Concurrency int
	// Affinity makes a session's turns prefer the instance that served the session last, for as long as that is there and
	// has room. A turn costs a read of a key more then, and two requests between the instances where another one was
	// handed it. Defaults to false. The flag --affinity and WOODWORK_AFFINITY switch it on.
	Affinity bool
	// MaxAttempts is how many executions of a turn may fail, which is to return an error or to panic, before it is set
	// aside and fails. Defaults to 5; -1 sets no limit.
	MaxAttempts int
	// MaxDeaths is how many executions of a turn may end without a word, because their process died or was cut off, before
	// it is set aside and fails; a hand-over is none, and neither is a first execution that had stored nothing yet. Defaults
	// to 20; -1 sets no limit.
	MaxDeaths int
	// MaxDuration is how long one attempt may take before the turn fails. Defaults to 1 h; -1 sets no limit.
	MaxDuration time.Duration
	// Idle is how long an attempt may go without reading or sending anything before the turn fails. Defaults to 5 min;
	// -1 sets no limit.
	Idle time.Duration
	// Middleware wraps the handler, the first one outermost. Defaults to none.
	Middleware []Middleware
	// Flags registers the service's own command-line flags. Each flag "some-name" can also be set by the environment
	// variable WOODWORK_SOME_NAME. Defaults to none. Only [Main] calls it.
	Flags func(fs *flag.FlagSet)
	// Check validates what Flags registered; its error is a usage error. Defaults to none. Only [Main] calls it.
	Check func() error
}

// errTargets: too many targets.
var errTargets = errors.New("use at most")

// errNoWork: a service without anything to do.
var errNoWork = errors.New("set Handler, Calls, Run, or several of them")

// validate reports everything that is wrong with the service.
func (s *Service) validate() error {
	var errs []error
	if err := subjects.CheckID("component name", s.Name); err != nil {
		errs = append(errs, err)
	}

	if len(s.To) > turn.MaxTargets {
		errs = append(errs, fmt.Errorf("%d target components: %w %d", len(s.To), errTargets, turn.MaxTargets))
	}

	for _, to := range s.To {
		if err := subjects.CheckID("target component", to); err != nil {
			errs = append(errs, err)
		}
	}

	if s.Handler == nil && s.Run == nil && len(s.Calls) == 0 {
		errs = append(errs, errNoWork)
	}

	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("service %q: %w", s.Name, err)
	}

	return nil
}

// wrapped returns the handler inside its middleware.
func (s *Service) wrapped() Handler {
	h := s.Handler
	for _, wrap := range slices.Backward(s.Middleware) {
		h = wrap(h)
	}

	return h
}

// Terminate marks an error as final: the turn is not tried again, and its output ends as failed with err's text as
// the reason that readers are told. Terminate(nil) is nil.
func Terminate(err error) error { return turn.Terminate(err) }

// RetryAfter marks an error as one that is worth another try after d, for example when a provider said so. It counts
// as an attempt. RetryAfter(d, nil) is nil.
func RetryAfter(d time.Duration, err error) error { return turn.RetryAfter(d, err) }
