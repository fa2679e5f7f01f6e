package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// Source yields prompts, one at a time.
type Source interface {
	// Next returns the next prompt, which is never blank, or [io.EOF] when there will be none. When ctx ends first it
	// returns the context's cause, and the source must not be used again: a read from a terminal or a pipe can't be
	// taken back.
	Next(ctx context.Context) (string, error)
}

// AskFunc posts a prompt and returns when its answer has ended. A prompt is passed byte for byte as it came, also when
// it is not valid UTF-8. An [*AnswerError] says that the answer ended otherwise than completed, and was told already; the
// loop goes on.
type AskFunc func(ctx context.Context, prompt string) error

// AnswerError says that an answer failed or was cancelled.
type AnswerError struct {
	// State is "failed" or "cancelled".
	State string
	// Reason is what the component that answered said about it.
	Reason string
}

// Error implements error.
func (e *AnswerError) Error() string {
	if e.Reason == "" {
		return "the answer " + e.verb()
	}

	return fmt.Sprintf("the answer %s: %s", e.verb(), e.Reason)
}

func (e *AnswerError) verb() string {
	if e.State == "cancelled" {
		return "was cancelled"
	}

	return e.State
}

// UnansweredError is how a loop ends in which some answers did not complete.
type UnansweredError struct {
	// Asked is how many prompts were asked, Unanswered how many of them have no complete answer.
	Asked, Unanswered int
}

// Error implements error.
func (e *UnansweredError) Error() string {
	return fmt.Sprintf("%d of %d prompts have no complete answer", e.Unanswered, e.Asked)
}

// Loop asks the prompts of src in order, each after the answer to the one before has ended, until the input ends. It
// returns nil when every answer completed, and an [*UnansweredError] when some did not and the prompts were piped in: a
// person at an [Editor] has seen it. Any other error of ask is told to a person, who may try again, and ends the loop
// when the prompts were piped in, when ctx has ended, or when the bus has; so does any error of src.
func Loop(ctx context.Context, src Source, ask AskFunc) error {
	var tally UnansweredError

	for {
		prompt, err := src.Next(ctx)
		if errors.Is(err, io.EOF) {
			return tally.result(src)
		}

		if err != nil {
			return fmt.Errorf("read prompt: %w", err)
		}

		tally.Asked++

		err = ask(ctx, prompt)
		if answer := (*AnswerError)(nil); errors.As(err, &answer) {
			tally.Unanswered++
		} else if err := tell(ctx, src, err); err != nil {
			return err
		}
	}
}

// tell tells a person why a prompt could not be asked, and returns the error when there is none or it would be so with
// every further prompt.
func tell(ctx context.Context, src Source, err error) error {
	person, ok := src.(*Editor)
	if err == nil || !ok || ctx.Err() != nil || errors.Is(err, bus.ErrClosed) || errors.Is(err, stream.ErrClosed) {
		return err
	}

	return person.Tell("the prompt failed: " + err.Error())
}

func (e *UnansweredError) result(src Source) error {
	if _, person := src.(*Editor); person || e.Unanswered == 0 {
		return nil
	}

	return e
}

// read is one blocking read of a source.
type read struct {
	prompt string
	err    error
}

// await runs a blocking read and returns its result, or the context's cause when ctx ends first. The read then goes on
// until its input yields something, and its result is lost.
func await(ctx context.Context, next func() (string, error)) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}

	done := make(chan read, 1)

	go func() {
		prompt, err := next()
		done <- read{prompt: prompt, err: err}
	}()

	select {
	case r := <-done:
		return r.prompt, r.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
