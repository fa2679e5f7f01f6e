package call

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/woodwork-go/woodwork/framework/bus"
)

// JSON makes a handler of a function: the request's body and the reply are JSON.
func JSON[Req, Resp any](serve func(ctx context.Context, request Req) (Resp, error)) Handler {
	return JSONStream(func(ctx context.Context, request Req, send func(Resp) error) error {
		response, err := serve(ctx, request)
		if err != nil {
			return err
		}

		return send(response)
	})
}

// JSONStream makes a handler of a function that sends any number of replies: the request's body and each reply are JSON.
func JSONStream[Req, Resp any](serve func(ctx context.Context, request Req, send func(Resp) error) error) Handler {
	return func(ctx context.Context, in *Incoming) error {
		var request Req

		if len(in.Body) > 0 {
			if err := json.Unmarshal(in.Body, &request); err != nil {
				return &bus.RemoteError{Code: CodeInvalid, Text: fmt.Sprintf("decode request: %v", err)}
			}
		}

		return serve(ctx, request, func(response Resp) error {
			body, err := json.Marshal(response)
			if err != nil {
				return fmt.Errorf("encode reply: %w", err)
			}

			return in.Reply(body)
		})
	}
}

// Caller calls components: a turn, or a client.
type Caller interface {
	// Call sends a request to a component and returns the reply; see [Client.Call].
	Call(ctx context.Context, component string, r Request) ([]byte, error)
	// Stream sends a request to a component and yields the replies; see [Client.Stream].
	Stream(ctx context.Context, component string, r Request) iter.Seq2[[]byte, error]
}

// Ask calls an operation whose reply is JSON.
func Ask[Resp any](ctx context.Context, c Caller, component string, r Request) (Resp, error) {
	var response Resp

	body, err := c.Call(ctx, component, r)
	if err != nil {
		return response, err
	}

	return decode[Resp](body)
}

// AskStream calls an operation whose replies are JSON, as a stream.
func AskStream[Resp any](ctx context.Context, c Caller, component string, r Request) iter.Seq2[Resp, error] {
	return func(yield func(Resp, error) bool) {
		for body, err := range c.Stream(ctx, component, r) {
			var response Resp
			if err == nil {
				response, err = decode[Resp](body)
			}

			if !yield(response, err) || err != nil {
				return
			}
		}
	}
}

func decode[Resp any](body []byte) (Resp, error) {
	var response Resp
	if err := json.Unmarshal(body, &response); err != nil {
		return response, fmt.Errorf("decode reply: %w", err)
	}

	return response, nil
}
