package terminal

import (
	"context"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/woodwork-go/woodwork/framework"
	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// Client posts turns and follows sessions; [framework.Client] is one.
type Client interface {
	Post(ctx context.Context, p framework.Post, data []byte) (framework.Ref, error)
	Follow(ctx context.Context, cfg stream.FollowConfig) (*stream.Follower, error)
}

// Asker posts the prompts of a session to a component and waits for their answers without showing them: that is the
// business of an output. Its methods must not be called concurrently.
type Asker struct {
	client  Client
	post    framework.Post
	notices io.Writer
	events  *stream.Follower
}

// NewAsker returns an Asker for the session and component that post names. Answers that did not complete are told on
// notices, one line each. Close ends it.
func NewAsker(ctx context.Context, c Client, post framework.Post, notices io.Writer) (*Asker, error) {
	events, err := c.Follow(ctx, stream.FollowConfig{Session: post.Session, New: true})
	if err != nil {
		return nil, fmt.Errorf("await answers: %w", err)
	}

	return &Asker{client: c, post: post, notices: notices, events: events}, nil
}

// Close ends the Asker. Answers that are under way go on.
func (a *Asker) Close() { a.events.Close() }

// Ask is an [AskFunc].
func (a *Asker) Ask(ctx context.Context, prompt string) error {
	ref, err := a.client.Post(ctx, a.post, []byte(prompt))
	if err != nil {
		return err //nolint:wrapcheck // it says what it was doing
	}

	end, err := a.await(ctx, ref.Turn)
	if err != nil || end.State == bus.Completed {
		return err
	}

	answer := &AnswerError{State: string(end.State), Reason: end.Reason}
	if _, err := fmt.Fprintln(a.notices, printable(answer.Error())); err != nil {
		return fmt.Errorf("tell of answer: %w", err)
	}

	return answer
}

// printable keeps what a component said from controlling the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}

		return ' '
	}, text)
}

// await returns how the answer to a turn ended.
func (a *Asker) await(ctx context.Context, turn string) (stream.End, error) {
	for {
		e, err := a.events.Next(ctx)
		if err != nil {
			return stream.End{}, fmt.Errorf("await answer: %w", err)
		}

		if e.Event.Kind == stream.KindEnd && (e.Info.Root == turn || e.Info.Turn == turn) {
			return e.Event.End, nil
		}
	}
}
