package framework

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/telemetry"
	"github.com/woodwork-go/woodwork/framework/turn"
)

// Turn is one attempt at one unit of work: an input stream to process into an output stream. It is valid until the
// handler returns and must not be kept.
type Turn struct {
	// ID names the turn and its input stream; it is the same in every attempt.
	ID string
	// Root is the turn that the user posted; equal to ID in the first component of a pipeline.
	Root string
	// Component is the component whose turn this is.
	Component string
	// Attempt counts the executions that wrote or will write to the output, from 1.
	Attempt int
	// Input is the stream to process; it may still be growing.
	Input *stream.Reader
	// Output is the stream that the handler writes.
	Output *stream.Writer
	// Session is the session the turn happens in.
	Session *Session
	// Partial is what earlier attempts have stored and readers already see; the handler goes on behind it. It is set
	// only with stream.Resume.
	Partial []stream.Chunk
	// Log is the process's logger with the turn's ids on every line. Don't log content with it.
	Log zerolog.Logger

	attempt *turn.Attempt
	client  *Client
}

// OpenOutput opens a further output stream and posts a turn with it to the target component. The framework ends it
// with the turn, unless the handler ended it before. It returns a [stream.EndedError] when an earlier attempt has
// written all of it already: then there is nothing left to do for this target.
func (t *Turn) OpenOutput(ctx context.Context, target string) (*stream.Writer, error) {
	w, err := t.attempt.OpenOutput(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("open output to %s: %w", target, err)
	}

	return w, nil
}

// newTurn is what a handler sees of an attempt.
func newTurn(ctx context.Context, c *Client, component string, a *turn.Attempt) (*Turn, error) {
	partial, err := a.Output.Partial(ctx)
	if err != nil {
		return nil, fmt.Errorf("read what an earlier attempt wrote: %w", err)
	}

	log := telemetry.Logger(ctx, c.log)

	return &Turn{
		ID: a.Record.ID, Root: a.Record.Root, Component: component, Attempt: a.Output.Attempt(),
		Input: a.Input, Output: a.Output, Partial: partial,
		Session: &Session{ID: a.Record.Session, state: c.everyone.State(a.Record.Session, component)},
		Log: log.With().Str("session", a.Record.Session).Str("turn", a.Record.ID).
			Int("attempt", a.Output.Attempt()).Logger(),
		attempt: a, client: c,
	}, nil
}
