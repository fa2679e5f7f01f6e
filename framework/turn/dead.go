package turn

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// Box is what turns need of a bus beside its log.
type Box interface {
	bus.Mailbox
	bus.DeadLetters
	bus.Clock
}

// KeptInput is how many bytes of a dead turn's input are kept with its letter.
const KeptInput = 256 << 10

// yieldTimeout bounds the saying that an execution was given up without fault.
const yieldTimeout = 2 * time.Second

// trial is one execution of a turn with what is known of the earlier ones. It decides what counts as an attempt, and
// against which limit:
//
//   - an execution whose handler returned an error or panicked has failed ([Config].MaxAttempts);
//   - one that began and never said how it ended has died, with its process, or lost the turn ([Config].MaxDeaths).
//
// A turn that was handed over, restarted because its input was, or not begun because the bus had trouble has done
// neither. That it was delivered proves nothing: whoever got it may have died, or been told to stop, before it began. So
// each execution but that of a first delivery says in the log that it begins, and that one is known by what it has
// stored: one that took its process down before it had stored anything is not counted.
type trial struct {
	*run

	letter    *bus.Letter
	record    Record
	output    *stream.Writer
	input     *input
	execution string // names it in the log of failures
	afresh    bool   // the input's attempt was superseded while the same worker executed the turn
	broken    bool   // policy Fail: readers have seen text of an earlier execution
	doomed    bool   // the turn is not executed again: an earlier execution was the last one
	known     failures
	fault     error         // of the bus; the turn has to be tried again
	wait      time.Duration // until the time comes that an earlier execution has set for the next one
}

func (r *run) newTrial(l *bus.Letter, record Record, output *stream.Writer, in *input, afresh bool) *trial {
	const chars = 12

	return &trial{
		run: r, letter: l, record: record, output: output, input: in, execution: rand.Text()[:chars],
		afresh: afresh, broken: r.cfg.Policy == stream.Fail && output.Attempt() > 1 && !afresh,
	}
}

// call executes the turn, unless earlier executions were all that it gets.
func (t *trial) call(ctx context.Context, a *Attempt) error {
	if (t.letter.Deliveries > 1 || t.succeeds()) && ctx.Err() == nil {
		verdict, err := t.prepare(ctx)
		if err != nil {
			t.fault = err

			return err
		}

		if verdict != nil {
			t.doomed = t.wait == 0

			return verdict
		}
	}

	return t.run.call(ctx, a, t.input)
}

// succeeds reports whether an earlier execution, of another delivery, has stored something.
func (t *trial) succeeds() bool { return t.output.Attempt() > 1 && !t.afresh }

// errEarly: the turn waits for its next attempt.
var errEarly = errors.New("the time of the next attempt has not come yet")

// prepare learns what became of earlier executions and says in the log that another one begins. It returns why there
// shall be none, if so.
func (t *trial) prepare(ctx context.Context) (verdict, err error) {
	if err := t.recall(ctx); err != nil {
		return nil, err
	}

	if reason, final := t.known.final(); final {
		return Terminate(errors.New(reason)), nil
	}

	if t.repeats == 0 { // else this claim has waited
		if t.wait = t.known.wait(t.now(ctx)); t.wait > 0 {
			return errEarly, nil
		}
	}

	begin := event{Happening: begun, Silent: len(t.known) == 0 && t.succeeds()}
	known := append(slices.Clip(t.known), t.sign(begin))

	tried := known.attempts(t.execution)
	if tried.failed() < t.cfg.MaxAttempts && tried.died() < t.cfg.MaxDeaths && !t.broken {
		return nil, t.note(ctx, begin)
	}

	t.known = known // for the dead letter

	return Terminate(errors.New(tried.last())), nil
}

func (t *trial) recall(ctx context.Context) error {
	if t.known != nil {
		return nil
	}

	var err error
	t.known, err = failuresOf(ctx, t.store, t.record)

	return err
}

// sign makes an event one of this execution.
func (t *trial) sign(e event) event {
	e.Turn, e.Component, e.Execution = t.record.ID, t.record.Component, t.execution
	e.Attempt, e.Instance = t.output.Attempt(), t.cfg.Instance
	e.Reason = clip(e.Reason, keptReason)

	earlier := t.known.attempts(t.execution)
	e.Failed, e.Died = earlier.failed(), earlier.died()

	return e
}

// now returns the broker's time, which all instances agree about; where it can't be had, this machine's.
func (t *trial) now(ctx context.Context) time.Time {
	now, err := t.box.Now(ctx)
	if err != nil {
		now = time.Now()
	}

	return now.UTC()
}

// note appends an event about this execution to the session's log of failures.
func (t *trial) note(ctx context.Context, e event) error {
	e = t.sign(e)
	e.At = t.now(ctx)

	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode failure: %w", err)
	}

	if _, err := t.store.Share(ctx, failureLog(t.record.Session), body); err != nil {
		return fmt.Errorf("note what became of the turn: %w", err)
	}

	t.known = append(t.known, e)

	return nil
}

// judge returns the fate of the turn after its handler returned err, and keeps what the next execution or an operator
// has to know of it. It returns an error when that can't be kept: then the turn has to be tried again.
func (t *trial) judge(ctx, settle context.Context, err error) (fate, time.Duration, error) {
	switch {
	case t.fault != nil:
		return 0, 0, t.fault
	case t.wait > 0 && ctx.Err() == nil:
		return early, t.wait, nil
	}

	f, delay := decide(ctx, err, 1, t.cfg)

	switch f {
	case handOver, restart:
		t.yield(settle)
	case retry, fail:
		if err := t.recall(settle); err != nil {
			return 0, 0, err
		}

		f, delay = decide(ctx, err, 1+t.known.attempts(t.execution).failed(), t.cfg)

		switch {
		case t.cfg.Policy == stream.Fail && t.output.Next() > 0: // another execution could only take back what readers have
			f = fail
		case errors.Is(err, stream.ErrExpired) && t.headless(settle, t.record): // nor would it have its input
			f = fail
		}

		return t.failed(settle, f, delay, err)
	default:
	}

	return f, delay, nil
}

// yield says that the execution doesn't count. When it can't be said, it counts.
func (t *trial) yield(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, yieldTimeout)
	defer cancel()

	t.warn(t.note(ctx, event{Happening: yielded}), t.record.ID, "say that the turn was given up")
}

// failed keeps the failure. A turn that won't be tried again is buried before its output ends, so that no crash in
// between can lose it: whoever gets the letter next finds in the log that this execution was the last, and goes on
// from there.
func (t *trial) failed(ctx context.Context, f fate, delay time.Duration, cause error) (fate, time.Duration, error) {
	if !t.doomed {
		err := t.note(ctx, event{Happening: failed, Reason: reason(cause), Final: f == fail, Wait: delay})
		if err != nil {
			return 0, 0, err
		}
	}

	if f != fail {
		return f, delay, nil
	}

	// An instance that was declared dead must not bury what another one is working on.
	if l, err := t.claim.Next(ctx); err != nil || l == nil || l.ID != t.letter.ID {
		return 0, 0, fmt.Errorf("the turn is no longer held: %w", errors.Join(bus.ErrLost, err))
	}

	input, err := t.store.Kept(ctx, inputID(t.record), KeptInput)
	if err != nil && !errors.Is(err, stream.ErrExpired) {
		return 0, 0, fmt.Errorf("read the input to keep: %w", err)
	}

	tried := t.known.attempts("")
	if t.doomed {
		tried = t.known.attempts(t.execution)
	}

	return fail, 0, t.bury(ctx, t.letter, &bus.DeadLetter{
		Reason: tried.summary() + reason(cause), Attempts: tried.kept(),
		Input: input.Data, InputType: input.Type, Truncated: input.Cut || input.State != bus.Completed,
	})
}

// bury keeps a letter as dead, with as much as the bus takes.
func (r *run) bury(ctx context.Context, l *bus.Letter, d *bus.DeadLetter) error {
	d.Letter, d.At = *l, time.Now().UTC()
	d.Reason = clip(d.Reason, keptReason)

	err := r.box.Bury(ctx, d)
	if errors.Is(err, bus.ErrTooLarge) {
		d.Input, d.Truncated = nil, true
		err = r.box.Bury(ctx, d)
	}

	if errors.Is(err, bus.ErrTooLarge) {
		d.Reason = clip(fmt.Sprintf("%s (its letter of %d bytes is too large to keep)", d.Reason, len(d.Body)), keptReason)
		d.Body = nil
		err = r.box.Bury(ctx, d)
	}

	if errors.Is(err, bus.ErrTooLarge) { // all that every bus takes
		d.Trace, d.Attempts = nil, nil
		err = r.box.Bury(ctx, d)
	}

	if err != nil {
		return fmt.Errorf("set the turn aside: %w", err)
	}

	return nil
}

// exhume drops the dead letter of a turn that another instance has ended otherwise: this one was declared dead, without
// knowing it, between its last look and the burial.
func (r *run) exhume(ctx context.Context, record Record) {
	err := r.dropDead(ctx, record)
	if err != nil {
		r.cfg.Logger.Warn().Err(err).Str("session", record.Session).Str("turn", record.ID).
			Msg("could not drop the dead letter of a turn that was completed; drop it by hand")
	}
}

func (r *run) dropDead(ctx context.Context, record Record) error {
	for d, err := range r.box.Dead(ctx, record.Component) {
		if err != nil {
			return fmt.Errorf("look for the dead letter: %w", err)
		}

		if d.ID == record.ID && d.Session == record.Session {
			return r.box.Drop(ctx, d) //nolint:wrapcheck // it says what it was doing
		}
	}

	return nil
}
