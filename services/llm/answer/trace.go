package answer

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/woodwork-go/woodwork/framework/telemetry"
	"github.com/woodwork-go/woodwork/services/llm/provider"
)

// traced is a model each of whose requests has a span below the turn's. Nothing of prompt or answer goes into it.
type traced struct {
	provider.Model

	session string
}

// Stream implements [provider.Model].
func (t *traced) Stream(
	ctx context.Context, req provider.Request, emit func(text string) error,
) (provider.Result, error) {
	name, model, _ := strings.Cut(t.Name(), "/")
	model = cmp.Or(req.Model, model, name)

	ctx, asking := telemetry.Ask(ctx, telemetry.Question{
		Provider: name, Model: model, Session: t.session, Temperature: req.Temperature, MaxTokens: req.MaxTokens,
	})
	if asking == nil {
		return t.Model.Stream(ctx, req, emit) //nolint:wrapcheck // a decorator adds nothing to say
	}

	res, err := t.Model.Stream(ctx, req, func(text string) error {
		asking.Piece()

		return emit(text)
	})

	asking.End(telemetry.Answer{
		ID: res.ID, Model: res.Model, FinishReason: res.FinishReason,
		InputTokens: res.InputTokens, OutputTokens: res.OutputTokens,
	}, kindOf(ctx, err))

	return res, err //nolint:wrapcheck // a decorator adds nothing to say
}

// kindOf is the kind of a failure, without its text.
func kindOf(ctx context.Context, err error) string {
	failure, ok := errors.AsType[*provider.Error](err)

	switch {
	case err == nil:
		return ""
	case ctx.Err() != nil:
		return "cancelled"
	case ok:
		return string(failure.Kind)
	default:
		return "output failed"
	}
}
