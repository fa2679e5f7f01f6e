package turn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/woodwork-go/woodwork/framework/bus"
	"github.com/woodwork-go/woodwork/framework/stream"
)

// errInputExpired is the cause of a handler's context whose turn has no input any more. The turn fails.
var errInputExpired = errors.New("the turn's input has expired: nothing of it is stored")

const (
	// missedFirst is how long an attempt waits for its input before the log is asked, and missedLook how often after that.
	missedFirst = time.Second
	missedLook  = 4 * time.Second
	// missedReplicated is how often in a row nothing of an input may be there, on a bus with replicas, before it is taken for
	// expired: a leader that does not know yet that another one was elected can answer from the past for nearly 20 s. Without
	// replicas once is enough.
	missedReplicated = 5
)

// inputWatch looks whether there is anything of an attempt's input, and ends the attempt's context when that has expired,
// as far as it can be known, instead of letting the attempt wait for what won't come.
type inputWatch struct {
	cancel  context.CancelCauseFunc
	running sync.WaitGroup
	missed  int         // how often nothing was there that must have been written
	empty   atomic.Bool // nothing was stored when that was looked at last
}

// watchInput begins to look. The caller calls stop after the attempt.
func (r *run) watchInput(ctx context.Context, a *Attempt) (watched context.Context, w *inputWatch) {
	w = &inputWatch{}
	watched, w.cancel = context.WithCancelCause(ctx)

	w.running.Go(func() {
		look := time.NewTimer(missedFirst)
		defer look.Stop()

		for {
			select {
			case <-look.C:
			case <-watched.Done():
				return
			}

			if there, err := r.look(watched, a, w); err == nil && there {
				return
			}

			look.Reset(missedLook)
		}
	})

	return watched, w
}

// stop ends the watch and waits for that.
func (w *inputWatch) stop() {
	w.cancel(nil)
	w.running.Wait()
}

// overdue returns why an attempt's context ended because it waited for too long, or in vain; nil when that isn't why.
func (w *inputWatch) overdue(ctx context.Context) error {
	cause := context.Cause(ctx)

	limit, ok := errors.AsType[*LimitError](cause)

	switch {
	case ok && limit.Idle && w.empty.Load():
		return &LimitError{After: limit.After, Idle: true, NoInput: true}
	case ok, errors.Is(cause, errInputExpired):
		return cause
	default:
		return nil
	}
}

// look reports whether there is something of the input, and ends the attempt when there has been nothing for too long.
func (r *run) look(ctx context.Context, a *Attempt, w *inputWatch) (there bool, err error) {
	if a.Input.Cursor() != (bus.Cursor{}) {
		w.empty.Store(false)

		return true, nil
	}

	written, err := r.written(ctx, a.Record) // before the log: what is written by now is found there
	if err != nil {
		return false, err
	}

	end, err := r.store.End(ctx, a.Input.ID())
	if err != nil {
		return false, fmt.Errorf("look at the input: %w", err)
	}

	there = end != (bus.Cursor{})
	w.empty.Store(!there)

	if there || !written {
		return there, nil
	}

	w.missed++
	if w.missed >= missedReplicated || !r.store.Replicated() {
		w.cancel(errInputExpired)
	}

	return false, nil
}

// headless reports whether the beginning of an input has expired, but not all of it.
func (r *run) headless(ctx context.Context, record Record) bool {
	end, err := r.store.End(ctx, inputID(record))
	if err != nil || end == (bus.Cursor{}) {
		return false
	}

	_, err = r.store.Kept(ctx, inputID(record), 0)

	return errors.Is(err, stream.ErrExpired)
}

// written reports whether somebody must have written the input of a turn. A turn that was posted with its input was
// posted behind it, and a turn that writes the input of another one is not done before that input has ended.
func (r *run) written(ctx context.Context, record Record) (bool, error) {
	switch {
	case record.Ahead:
		return false, nil
	case record.ID == record.Root || record.Stream != "":
		return true, nil
	case record.From == "":
		return false, nil
	}

	l, err := r.box.Peek(ctx, record.From, record.Session)
	if err != nil {
		return false, fmt.Errorf("look for the turn that writes the input: %w", err)
	}

	return l == nil, nil
}
