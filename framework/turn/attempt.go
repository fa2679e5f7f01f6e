package turn

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
	"github.com/woodwork-go/woodwork/framework/telemetry"
)

// Attempt is one execution of a turn, as the handler sees it.
type Attempt struct {
	// Record says which turn it is.
	Record Record
	// Input is the stream to process, from its beginning.
	Input *stream.Reader
	// Output is the turn's own stream; the worker ends it after the handler returned.
	Output *stream.Writer
	// Deliveries counts how often the turn was handed out or tried again, from 1.
	Deliveries int

	outputs *outputs
}

// OpenOutput opens a further output stream whose reader is the given component; see [Worker]. The worker ends it after
// the handler returned, unless the handler did. It fails with bus.ErrInvalid for a target that is no component's name, and
// returns a [stream.EndedError] when an earlier attempt has written
// the whole of it: there is nothing left to do for this stream then.
func (a *Attempt) OpenOutput(ctx context.Context, target string) (*stream.Writer, error) {
	return a.outputs.open(ctx, []string{target})
}

// outcome is what became of an attempt.
type outcome struct {
	fate    fate
	delay   time.Duration
	attempt int
	err     error
	span    *telemetry.Span // has ended; its ids go into the log

	record    Record
	readable  bool // the letter could be decoded, so the record says what there is to cancel
	cancelled bool // the turn was cancelled before the attempt ended
	noted     bool // the log of failures says when the turn is to be tried again
}

// execute runs attempts of the letter's turn until one decides its fate; an attempt whose input was superseded is
// followed by the next one at once.
func (r *run) execute(ctx context.Context, l *bus.Letter) outcome {
	record, err := decode(l)
	if err != nil {
		return r.unreadable(ctx, l, record, err)
	}

	for afresh := false; ; afresh = true {
		if o := r.traced(ctx, l, record, afresh); o.fate != restart {
			r.leave(ctx, record, o.fate)
			o.record, o.readable = record, true

			return o
		}
	}
}

// attempt executes the turn once and ends its streams as its fate says. Afresh it keeps nothing of what was made from
// an input that has been superseded, whatever the policy.
func (r *run) attempt(
	ctx context.Context, l *bus.Letter, record Record, afresh bool, span *telemetry.Span,
) outcome {
	settle, finish := r.settling(ctx)
	defer finish()

	outs := &outputs{run: r, record: record, trace: span.Trace(l.Trace), afresh: afresh}

	input := r.openInput(ctx, record)
	defer input.close()

	main, err := outs.open(ctx, r.cfg.To)
	if errors.Is(err, stream.ErrEnded) {
		return outcome{fate: already}
	}

	if err == nil {
		err = r.cancels.wait()
	}

	if err == nil {
		err = r.cancels.look(ctx, r.store, record)
	}

	if err != nil {
		outs.withdraw(settle)

		return r.unseen(ctx, l, err)
	}

	outs.again = l.Deliveries > 1 || main.Attempt() > 1 || afresh

	span.Attempt(ctx, main.Attempt(), main.Before())

	working, done := r.cancels.begin(ctx, record)
	defer done()

	t := r.newTrial(l, record, main, input, afresh)
	err = t.call(working, &Attempt{Record: record, Output: main, Deliveries: l.Deliveries, outputs: outs})

	f, delay, fault := t.judge(working, settle, err)
	if fault == nil {
		fault = r.end(settle, working, outs, f, err)
	} else {
		r.warn(outs.end(settle, retry, fault), l.ID, "let go of the turn")
	}

	if fault != nil {
		o := r.unseen(ctx, l, fault)
		o.cancelled = isCancelled(working)

		return o
	}

	return outcome{fate: f, delay: delay, attempt: main.Attempt(), err: err, noted: f == retry || f == early}
}

// end ends the streams of an attempt as its fate says.
func (r *run) end(ctx, working context.Context, outs *outputs, f fate, cause error) error {
	if f == cancelled {
		cause = context.Cause(working)
		if err := r.cancelInput(ctx, outs.record, reason(cause)); err != nil {
			return fmt.Errorf("cancel input: %w", err)
		}
	}

	if err := outs.end(ctx, f, cause); err != nil {
		if errors.Is(err, errOvertaken) {
			r.exhume(ctx, outs.record)
		}

		return err
	}

	outs.leave(ctx, f)

	return nil
}

// unseen is the outcome of an attempt whose streams could not be opened or ended. Nobody could see that the turn
// failed, so it is tried for as long as it takes.
func (r *run) unseen(ctx context.Context, l *bus.Letter, err error) outcome {
	f, delay := decide(ctx, err, l.Deliveries, r.cfg)
	if f == fail || f == follow {
		f, delay = retry, backoff(l.Deliveries, r.cfg)
	}

	return outcome{fate: f, delay: delay, err: err}
}

// call runs the handler on an open input, unless the turn was cancelled before, and turns a panic into an error.
func (r *run) call(ctx context.Context, a *Attempt, input *input) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}

	a.Input, err = input.wait()
	if err != nil {
		return fmt.Errorf("open input: %w", err)
	}

	a.outputs.input = a.Input

	defer func() {
		if p := recover(); p != nil {
			log := telemetry.Logger(ctx, r.cfg.Logger)
			log.Error().Str("session", a.Record.Session).Str("turn", a.Record.ID).Int("attempt", a.Output.Attempt()).
				Bytes("stack", debug.Stack()).Msg("the handler panicked")

			err = &PanicError{Value: p}
		}
	}()

	ctx, watch := r.watchInput(ctx, a)
	defer watch.stop()

	ctx, done := r.limits.watch(ctx, func() uint64 { return a.Input.Cursor().Number() + a.outputs.sent() })
	defer done()

	if err := r.handle(ctx, a); err != nil {
		if overdue := watch.overdue(ctx); overdue != nil {
			err = overdue // says more than that the context ended
		}

		return fmt.Errorf("handle turn: %w", err)
	}

	return nil
}

// PanicError is the error of an attempt whose handler panicked.
type PanicError struct {
	// Value is what the handler panicked with.
	Value any
}

// Error implements error without the value's content, which may hold what a user said.
func (e *PanicError) Error() string { return fmt.Sprintf("the handler panicked with a %T", e.Value) }

// Unwrap returns the panic's value where it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)

	return err
}
