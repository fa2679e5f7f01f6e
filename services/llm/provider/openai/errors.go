package openai

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"

	"github.com/woodwork-go/woodwork/services/llm/provider"
	"github.com/woodwork-go/woodwork/services/llm/provider/internal/call"
)

// explain turns what the client returned into an error that says what to do. A nil err means that the stream was over
// too early.
func explain(ctx, inner context.Context, target call.Target, watch *call.Watch, err error) error {
	var (
		refused *openai.Error
		event   *ssestream.StreamError
		syntax  *json.SyntaxError
		kind    *json.UnmarshalTypeError
	)

	switch {
	case inner.Err() != nil:
		return target.Broken(ctx, inner, err)
	case errors.As(err, &refused):
		reply, _ := watch.Refused()
		reply.Type, reply.Code, reply.Message = refused.Type, refused.Code, refused.Message

		return target.Failed(reply)
	case errors.As(err, &event):
		return target.Failed(errorEvent(event.Event.Data))
	}

	if reply, ok := watch.Refused(); ok {
		return target.Failed(reply)
	}

	switch {
	case err == nil:
		return target.Cut()
	case errors.As(err, &syntax), errors.As(err, &kind), errors.Is(err, bufio.ErrTooLong):
		return target.Malformed()
	default:
		return target.Broken(ctx, inner, err)
	}
}

// errorEvent reads the error event of a stream. OpenAI sends an object; some compatible servers send only a sentence,
// and their codes are numbers as often as words.
func errorEvent(data []byte) call.Reply {
	var event struct {
		Error struct {
			Type    string `json:"type"`
			Code    any    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}

	if json.Unmarshal(data, &event) != nil {
		var short struct {
			Error string `json:"error"`
		}

		_ = json.Unmarshal(data, &short) // an event of any other form stays without a message

		return call.Reply{Type: "server_error", Message: short.Error}
	}

	reply := call.Reply{Type: event.Error.Type, Message: event.Error.Message}

	switch code := event.Error.Code.(type) {
	case string:
		reply.Code = code
	case float64:
		reply.Status = int(code)
	}

	return reply
}

// refusesUsage reports whether a server refused the request because it does not know how to report usage.
func refusesUsage(err error) bool {
	var e *provider.Error

	return errors.As(err, &e) && e.Kind == provider.KindRejected && strings.Contains(e.Message, "stream_options")
}
