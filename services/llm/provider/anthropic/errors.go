package anthropic

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"

	"github.com/anthropics/anthropic-sdk-go"

	"github.com/woodwork-go/woodwork/services/llm/provider/internal/call"
)

// explain turns what the client returned into an error that says what to do. A nil err means that the stream was over
// too early.
func explain(ctx, inner context.Context, target call.Target, watch *call.Watch, err error) error {
	if inner.Err() != nil {
		return target.Broken(ctx, inner, err)
	}

	reply, refused := watch.Refused()

	if said, ok := errors.AsType[*anthropic.Error](err); ok {
		reply.Type, reply.Message = words(said.RawJSON())
		if !refused {
			reply.Status, reply.Header = 0, nil // an error event: the status of its stream is 200 and says nothing
		}

		return target.Failed(reply)
	}

	if refused {
		return target.Failed(reply)
	}

	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)

	switch {
	case err == nil:
		return target.Cut()
	case errors.As(err, &syntax), errors.As(err, &kind), errors.Is(err, bufio.ErrTooLong):
		return target.Malformed()
	default:
		return target.Broken(ctx, inner, err)
	}
}

// words reads an error object of Anthropic.
func words(raw string) (kind, message string) {
	var body struct {
		Error struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"error"`
	}

	if json.Unmarshal([]byte(raw), &body) != nil {
		return "", ""
	}

	return body.Error.Type, body.Error.Message
}
