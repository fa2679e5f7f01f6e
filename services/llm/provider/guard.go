package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/woodwork-go/woodwork/framework/breaker"
)

// WithBreaker returns a model that asks m only while the breaker allows it. A request that is refused fails at once, with
// an [Error] of kind [KindNotAsked]. Failures of the provider count, also in the middle of an answer; being asked for
// patience, refusals of a single request, and requests that their callers gave up don't. One that opens the breaker is no
// longer passing: nobody is to wait for being refused.
func WithBreaker(m Model, b *breaker.Breaker) Model { return &guarded{model: m, breaker: b} }

type guarded struct {
	model   Model
	breaker *breaker.Breaker
}

var _ Model = (*guarded)(nil)

// Name implements [Model].
func (g *guarded) Name() string { return g.model.Name() }

// Stream implements [Model].
func (g *guarded) Stream(ctx context.Context, req Request, emit func(text string) error) (Result, error) {
	permit, err := g.breaker.Allow()
	if err != nil {
		return Result{}, g.refused(err)
	}
	defer permit.Done(breaker.Failure) // unless another outcome is reported before; a panic is a failure, too

	res, err := g.model.Stream(ctx, req, emit)
	permit.Done(outcome(ctx, err))

	if failure, ok := errors.AsType[*Error](err); ok {
		failure.refused = !g.breaker.Admits()
	}

	return res, err //nolint:wrapcheck // a decorator adds nothing to say
}

func (g *guarded) refused(err error) *Error {
	name, model, _ := strings.Cut(g.model.Name(), "/")
	e := &Error{Provider: name, Model: model, Kind: KindNotAsked, Message: "it has failed too often", Err: err}

	switch open, ok := errors.AsType[*breaker.OpenError](err); {
	case ok && open.Forced:
		e.Message = "an operator does not want it to be asked"
		if open.Reason != "" {
			e.Message += ": " + open.Reason
		}
	case ok && open.RetryIn > 0:
		e.RetryAfter = open.RetryIn
	default:
		e.Hint = fmt.Sprintf("it is being tried now whether %s works again", name)
	}

	return e
}

// outcome is what an answer says of its provider.
func outcome(ctx context.Context, err error) breaker.Outcome {
	failure, ok := errors.AsType[*Error](err)

	switch {
	case err == nil:
		return breaker.Success
	case ctx.Err() != nil || !ok:
		return breaker.Ignored
	}

	switch failure.Kind {
	case KindTooLong, KindRejected:
		return breaker.Success
	case KindRateLimited:
		return breaker.Ignored
	default:
		return breaker.Failure
	}
}
